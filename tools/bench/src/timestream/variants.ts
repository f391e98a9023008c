import { rawPost, stockLoop, tunedLoop } from './peers.ts'
import type { Sender, SenderOptions } from './sender.ts'
import { sluice } from './sluice.ts'
import { DIRECT, RAW, SDK_TRANSPORT, STOCK, TUNED, TUNED_COMMON, type VariantName } from './task.ts'

const SENDERS: Readonly<Record<VariantName, (options: SenderOptions) => Sender>> = {
  [DIRECT]: (options) => sluice('direct', options),
  [SDK_TRANSPORT]: (options) => sluice('sdk', options),
  [STOCK]: stockLoop,
  [TUNED]: (options) => tunedLoop(options, false),
  [TUNED_COMMON]: (options) => tunedLoop(options, true),
  [RAW]: rawPost,
}

export function senderOf(variant: VariantName, options: SenderOptions): Sender {
  return SENDERS[variant](options)
}
