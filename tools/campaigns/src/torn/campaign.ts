import type { Campaign } from '../campaign.ts'
import { fileLog } from '../pipelines/file-log-servers.ts'
import { reported } from '../pipelines/file-log-report.ts'
import { TornRun } from './run.ts'

const MIN_FAULTS = 100
const MIN_RECORDS = 30

/** State that is damaged, and disks that are full or read-only. */
export const tornCampaign: Campaign = {
  name: 'torn',
  summary: 'the newest checkpoint cut and flipped at every byte, a full disk, a read-only one; never a wrong position',
  pipelines: [fileLog],
  faults: 'damaged states at most',
  sabotages: ['skip-checksum'],
  full: { faults: 2_000, records: 60 },
  quick: { faults: 240, records: 30 },
  problems({ faults, records }) {
    const problems: string[] = []
    if (faults < MIN_FAULTS) problems.push(`--faults must be at least ${MIN_FAULTS}, got ${faults}`)
    if (records < MIN_RECORDS) problems.push(`--records must be at least ${MIN_RECORDS}, got ${records}`)
    return problems
  },
  run: (context) => reported('torn', context, (facts) => new TornRun(context, facts).carryOut()),
}
