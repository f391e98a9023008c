import { silentLogger, SluiceError } from '@sluice/core'

import { awsClientConfig } from '../../src/index.ts'
import { s3Checkpoints } from '../../src/s3-checkpoints.ts'

console.log(`main entry: ${typeof awsClientConfig}`)
try {
  await s3Checkpoints({ bucket: 'state' }).open('hosts', silentLogger)
} catch (error) {
  console.log(SluiceError.isInstance(error) ? `${error.code}: ${error.message}` : String(error))
}
