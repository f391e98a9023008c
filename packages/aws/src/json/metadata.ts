/** What is known of an answer, as the AWS SDK names it. */
export interface ResponseMetadata {
  /** Status of the answer. */
  readonly httpStatusCode: number
  /** Names the request to AWS support. */
  readonly requestId?: string
  /** Further names of the request, of services that have them. */
  readonly extendedRequestId?: string
  /** Of answers that came through CloudFront. */
  readonly cfId?: string
  /** The client makes one. */
  readonly attempts: 1
  /** It waits for none. */
  readonly totalRetryDelay: 0
  /** The service refused the time of the signature; the next request has the service's. */
  readonly clockSkewCorrected?: true
}

/** Reads the headers that the AWS SDK reads. */
export function metadataOf(answer: {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
}): ResponseMetadata {
  const { status, headers } = answer
  const requestId = headers['x-amzn-requestid'] ?? headers['x-amzn-request-id'] ?? headers['x-amz-request-id']
  const extendedRequestId = headers['x-amz-id-2']
  const cfId = headers['x-amz-cf-id']
  return {
    httpStatusCode: status,
    ...(requestId === undefined ? {} : { requestId }),
    ...(extendedRequestId === undefined ? {} : { extendedRequestId }),
    ...(cfId === undefined ? {} : { cfId }),
    attempts: 1,
    totalRetryDelay: 0,
  }
}
