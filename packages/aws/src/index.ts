export {
  AWS_CLIENT_CONFIG_FIELDS,
  type AwsClientConfig,
  awsClientConfig,
  type AwsCredentials,
  checkAwsClientConfig,
  type SdkClientConfig,
} from './client-config.ts'
export { type AwsErrorKind, type AwsFailure, classifyAwsError } from './classify.ts'
export { awsRequestHandler, type RequestHandlerOptions } from './request-handler.ts'
