import type { Campaign } from './campaign.ts'
import { clockCampaign } from './clock/campaign.ts'
import { killCampaign } from './kill/campaign.ts'
import { ownersCampaign } from './owners/campaign.ts'
import { prometheusKillCampaign } from './prometheus/kill.ts'
import { prometheusOrderCampaign } from './prometheus/order.ts'
import { prometheusPoisonCampaign } from './prometheus/poison-campaign.ts'
import { prometheusStormCampaign } from './prometheus/storm.ts'
import { sigtermCampaign } from './sigterm/campaign.ts'
import { soakCampaign } from './soak/campaign.ts'
import { timestreamAmbiguousCampaign } from './timestream/ambiguous.ts'
import { timestreamCredentialsCampaign } from './timestream/credentials.ts'
import { timestreamKillCampaign } from './timestream/kill.ts'
import { timestreamPoisonCampaign } from './timestream/poison-campaign.ts'
import { timestreamRejectsCampaign } from './timestream/rejects.ts'
import { timestreamStormCampaign } from './timestream/storm.ts'
import { tornCampaign } from './torn/campaign.ts'

/** Every campaign that `npm run campaign` knows. */
export const CAMPAIGNS: readonly Campaign[] = [
  killCampaign,
  sigtermCampaign,
  tornCampaign,
  ownersCampaign,
  clockCampaign,
  soakCampaign,
  prometheusKillCampaign,
  prometheusStormCampaign,
  prometheusOrderCampaign,
  prometheusPoisonCampaign,
  timestreamKillCampaign,
  timestreamStormCampaign,
  timestreamAmbiguousCampaign,
  timestreamRejectsCampaign,
  timestreamPoisonCampaign,
  timestreamCredentialsCampaign,
]
