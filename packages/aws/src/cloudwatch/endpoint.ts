import { SluiceError } from '@sluice/core'

/**
 * The endpoint of CloudWatch, for a client of another service.
 *
 * See https://docs.aws.amazon.com/general/latest/gr/cw_region.html
 *
 * @param parameters - as the SDK gives them to the endpoint rules of a service.
 * @throws SluiceError `SLUICE_OPTIONS_INVALID` in partitions whose names are not known here.
 */
export function cloudWatchEndpoint(parameters: object): string {
  const { Region: region, UseFIPS: useFips, UseDualStack: useDualStack } = parameters as Record<string, unknown>
  const name = String(region)
  const isGov = name.startsWith('us-gov-')
  const isChina = name.startsWith('cn-')
  if (!isGov && !isChina && !/^(?:af|ap|ca|eu|il|me|mx|sa|us)-(?!iso)[a-z]+-\d+$/.test(name)) {
    throw new SluiceError('SLUICE_OPTIONS_INVALID', `cloudWatchMetrics: give endpoint for the region '${name}'`)
  }
  const host = useFips === true && !(isGov && useDualStack !== true) ? 'monitoring-fips' : 'monitoring'
  if (useDualStack === true) return `https://${host}.${name}.${isChina ? 'api.amazonwebservices.com.cn' : 'api.aws'}`
  return `https://${host}.${name}.${isChina ? 'amazonaws.com.cn' : 'amazonaws.com'}`
}
