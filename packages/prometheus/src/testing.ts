export { type DecodedRequest, type DecodedTimeSeries, decodeRemoteWrite } from './decode.ts'
