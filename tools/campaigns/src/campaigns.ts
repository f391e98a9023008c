import type { Campaign } from './campaign.ts'
import { killCampaign } from './kill/campaign.ts'

/** Every campaign that `npm run campaign` knows. */
export const CAMPAIGNS: readonly Campaign[] = [killCampaign]
