import type { Campaign } from '../campaign.ts'
import { killCampaign, runKills } from '../kill/campaign.ts'
import { TIMESTREAM_PIPELINES } from '../pipelines/timestream-servers.ts'

/** kill -9 of a pipeline into timestream-local. */
export const timestreamKillCampaign: Campaign = {
  ...killCampaign,
  name: 'timestream-kill',
  summary: 'kill -9 of a pipeline into timestream-local, by each transport; every row is read back by SQL',
  pipelines: TIMESTREAM_PIPELINES,
  run: (context) => runKills('timestream-kill', context),
}
