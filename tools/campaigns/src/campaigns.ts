import type { Campaign } from './campaign.ts'
import { clockCampaign } from './clock/campaign.ts'
import { killCampaign } from './kill/campaign.ts'
import { prometheusKillCampaign } from './prometheus/kill.ts'
import { ownersCampaign } from './owners/campaign.ts'
import { sigtermCampaign } from './sigterm/campaign.ts'
import { soakCampaign } from './soak/campaign.ts'
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
]
