import type { Campaign } from '../campaign.ts'
import { killCampaign, runKills } from '../kill/campaign.ts'
import { PROMETHEUS_PIPELINES } from '../pipelines/prometheus-servers.ts'

/** kill -9 of a pipeline into a real Prometheus. */
export const prometheusKillCampaign: Campaign = {
  ...killCampaign,
  name: 'prometheus-kill',
  summary: 'kill -9 of a pipeline into a real Prometheus; every sample is read back by PromQL, in order',
  pipelines: PROMETHEUS_PIPELINES,
  run: (context) => runKills('prometheus-kill', context),
}
