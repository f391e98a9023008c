import { rawPost, stockLoop, tunedLoop } from './peers.ts'
import type { Decode, Sender, SenderOptions } from './sender.ts'
import { sluice } from './sluice.ts'
import { DIRECT, RAW, SDK_TRANSPORT, STOCK, TUNED, TUNED_COMMON, type VariantName } from './task.ts'

const SENDERS: Readonly<Record<VariantName, (options: SenderOptions, decode: Decode) => Sender>> = {
  [DIRECT]: (options, decode) => sluice('direct', options, decode),
  [SDK_TRANSPORT]: (options, decode) => sluice('sdk', options, decode),
  [STOCK]: stockLoop,
  [TUNED]: (options, decode) => tunedLoop(options, decode, false),
  [TUNED_COMMON]: (options, decode) => tunedLoop(options, decode, true),
  [RAW]: rawPost,
}

export function senderOf(variant: VariantName, options: SenderOptions, decode: Decode): Sender {
  return SENDERS[variant](options, decode)
}
