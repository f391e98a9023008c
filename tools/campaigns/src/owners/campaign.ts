import type { Campaign } from '../campaign.ts'
import { reported } from '../pipelines/file-log-report.ts'
import { fileLog } from '../pipelines/file-log-servers.ts'
import { MIN_FAULTS } from './plan.ts'
import { OwnersRun } from './run.ts'

const RECORDS_PER_FAULT = 4

/** Several processes that want the checkpoints of one job. */
export const ownersCampaign: Campaign = {
  name: 'owners',
  summary:
    'two starters at once, an owner that is stopped and overtaken, the same pid elsewhere; one owner at any time',
  pipelines: [fileLog],
  faults: 'contests',
  sabotages: ['ignore-owner'],
  full: { faults: 40, records: 800 },
  quick: { faults: 9, records: 180 },
  problems({ faults, records }) {
    const problems: string[] = []
    if (faults < MIN_FAULTS) problems.push(`--faults must be at least ${MIN_FAULTS}, got ${faults}`)
    if (records < faults * RECORDS_PER_FAULT) {
      problems.push(`--records must be at least ${RECORDS_PER_FAULT} for each contest, got ${records} for ${faults}`)
    }
    return problems
  },
  run: (context) => reported('owners', context, (facts) => new OwnersRun(context, facts).carryOut()),
}
