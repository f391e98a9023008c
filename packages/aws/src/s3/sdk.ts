import type * as S3 from '@aws-sdk/client-s3'
import { SluiceError } from '@sluice/core'

/** What is used of the package `@aws-sdk/client-s3`. */
export type S3Sdk = Pick<
  typeof S3,
  'DeleteObjectCommand' | 'GetObjectCommand' | 'ListObjectsV2Command' | 'PutObjectCommand' | 'S3Client'
>

const PACKAGE = '@aws-sdk/client-s3'

/**
 * Loads the AWS client for S3, which only users of this storage install.
 *
 * @throws SluiceError `SLUICE_OPTIONS_INVALID` when it is not installed.
 */
export async function loadS3Sdk(): Promise<S3Sdk> {
  try {
    return await import('@aws-sdk/client-s3')
  } catch (error) {
    const isMissing = Reflect.get(Object(error), 'code') === 'ERR_MODULE_NOT_FOUND'
    if (!isMissing || !String(error).includes(PACKAGE)) throw error
    throw new SluiceError(
      'SLUICE_OPTIONS_INVALID',
      `s3Checkpoints needs the package ${PACKAGE}, which is not installed: npm install ${PACKAGE}`,
      { cause: error },
    )
  }
}
