import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Counters } from './counters.ts'
import { TimestreamLocalError } from './errors.ts'
import type { Fault, FaultOptions, FaultSwitches } from './faults.ts'
import { hostNameOf } from './web-pages.ts'
import { isObject } from './wire.ts'

/** Paths that start so are the server's own; Timestream's API has the path `/` only. */
export const CONTROL_PREFIX = '/_local/'
/** The largest body of a control request. */
export const CONTROL_MAX_BYTES = 65_536

/** What the control endpoint acts on. */
export interface ControlTarget {
  readonly faults: FaultSwitches
  readonly counters: Counters
  expireEndpoints(): void
  isOwnName(hostname: string): boolean
}

interface Answer {
  readonly statusCode: number
  readonly body?: object
}

/** Fault switches and counters over HTTP, for tests in other processes and other languages. */
export function answerControl(
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
  target: ControlTarget,
): void {
  const { statusCode, body: answer } = route(request, body, target)
  const text = answer === undefined ? '' : `${JSON.stringify(answer)}\n`
  response.writeHead(statusCode, {
    ...(answer === undefined ? {} : { 'content-type': 'application/json' }),
    'content-length': Buffer.byteLength(text),
  })
  response.end(text)
}

function route(request: IncomingMessage, body: Buffer, target: ControlTarget): Answer {
  // A web page may send requests to this machine, and browsers mark them so.
  if (request.headers.origin !== undefined) return problem(403, 'Requests from web pages are refused.')
  const hostname = hostNameOf(request)
  if (!target.isOwnName(hostname)) return problem(403, `${hostname.slice(0, 100)} is not a name of this server.`)
  const path = (request.url ?? '').slice(CONTROL_PREFIX.length)
  switch (`${request.method} ${path.replace(/\/\d+$/, '/id')}`) {
    case 'GET status':
      return {
        statusCode: 200,
        body: {
          counters: target.counters,
          faults: { fired: target.faults.fired, active: target.faults.active.map(shown) },
        },
      }
    case 'GET faults':
      return { statusCode: 200, body: target.faults.active.map(shown) }
    case 'POST faults':
      return addFault(body, target.faults)
    case 'DELETE faults':
      target.faults.clear()
      return { statusCode: 204 }
    case 'DELETE faults/id': {
      const id = Number(path.split('/')[1])
      const fault = target.faults.active.find((one) => one.id === id)
      if (fault === undefined) return problem(404, `There is no fault ${id} in force.`)
      fault.remove()
      return { statusCode: 200, body: shown(fault) }
    }
    case 'POST expire-endpoints':
      target.expireEndpoints()
      return { statusCode: 204 }
    default:
      return problem(404, `${request.method} ${(request.url ?? '').slice(0, 100)} is not known here.`)
  }
}

function addFault(body: Buffer, faults: FaultSwitches): Answer {
  let json: unknown
  try {
    json = JSON.parse(body.toString('utf8'))
  } catch {
    return problem(400, 'The body is not valid JSON.')
  }
  if (!isObject(json)) return problem(400, 'The body must be a JSON object with the options of a fault.')
  try {
    return { statusCode: 201, body: shown(faults.add({ operation: 'WriteRecords', ...json } as FaultOptions)) }
  } catch (error) {
    if (TimestreamLocalError.isInstance(error)) return { statusCode: 400, body: { problems: error.problems } }
    throw error
  }
}

function shown({ id, fired, options }: Fault): object {
  return { id, fired, options }
}

function problem(statusCode: number, text: string): Answer {
  return { statusCode, body: { problems: [text] } }
}
