import { once } from 'node:events'
import { Agent, request, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'

import { expect, test } from 'vitest'

import { startFaultProxy, type Fault, type FaultProxyOptions, type RequestInfo } from '../src/index.ts'
import { waitFor } from '../src/wait.ts'
import { send, startTarget, type Target } from './target.ts'

const writes = ({ headers }: RequestInfo): boolean => headers['x-amz-target'] === 'Timestream_20181101.WriteRecords'
const asWrite = { 'X-Amz-Target': 'Timestream_20181101.WriteRecords' }

function proxyFor(target: Target, options: Omit<FaultProxyOptions, 'target'> = {}): ReturnType<typeof startFaultProxy> {
  return startFaultProxy({ ...options, target: { host: '127.0.0.1', port: target.port } })
}

const paths = (target: Target): string[] => target.applied.map(({ path }) => path)

test('passes headers, repeats, status line and bodies as they are', async () => {
  await using target = await startTarget()
  await using proxy = await proxyFor(target)
  const headers = ['Host', 'api.example', 'X-Case', 'One', 'X-Case', 'Two', 'Content-Length', '5']
  const answer = await send(proxy.port, { path: '/a?b=%2F', body: 'hällo'.slice(0, 4), headers })
  expect(answer).toMatchObject({ status: 200, statusMessage: 'Fine', body: 'echo häll' })
  expect(answer.headers['set-cookie']).toEqual(['a=1', 'b=2'])
  expect(target.applied[0]).toMatchObject({ path: '/a?b=%2F', body: 'häll' })
  expect(target.applied[0]?.rawHeaders.slice(0, 8)).toEqual(headers)
  expect(proxy.counters()).toMatchObject({ requests: 1, forwarded: 1, passed: 1, dropped: 0, responsesCut: 0 })
  expect(proxy.problems).toEqual([])
})

test('passes chunked bodies, empty bodies and bodies of a megabyte', async () => {
  await using target = await startTarget()
  await using proxy = await proxyFor(target)
  const large = 'x'.repeat(1_000_000)
  expect(await send(proxy.port, { body: ['one ', 'two'] })).toMatchObject({ body: 'echo one two' })
  expect(await send(proxy.port)).toMatchObject({ body: 'echo ' })
  expect((await send(proxy.port, { body: large })).body).toHaveLength(large.length + 5)
})

test.each<[Fault['kind'], Fault, number]>([
  ['reset', { kind: 'reset' }, 0],
  ['cutBeforeApply', { kind: 'cutBeforeApply' }, 0],
  ['cutAfterApply', { kind: 'cutAfterApply' }, 1],
  ['truncateResponse', { kind: 'truncateResponse' }, 1],
  ['resetAfterApply', { kind: 'resetAfterApply' }, 1],
])('%s: an error for the client, and the next request on its agent passes', async (kind, fault, applied) => {
  await using target = await startTarget()
  await using proxy = await proxyFor(target)
  using agent = disposable(new Agent({ keepAlive: true, maxSockets: 1 }))
  await send(proxy.port, { path: '/before', agent })
  const rule = proxy.faults.add({ ...fault, times: 1 })
  await expect(send(proxy.port, { path: '/hit', body: 'payload', agent })).rejects.toThrow(/hang up|ECONNRESET|aborted/)
  expect(paths(target)).toEqual(['/before', ...Array<string>(applied).fill('/hit')])
  expect(await send(proxy.port, { path: '/after', body: 'on', agent })).toMatchObject({ status: 200, body: 'echo on' })
  expect(rule).toMatchObject({ planned: 1, fired: 1 })
  const counters = proxy.counters()
  expect(counters).toMatchObject({ requests: 3, forwarded: 2 + applied, passed: 2, responsesCut: applied, dropped: 0 })
  expect(counters.faults[kind]).toEqual({ planned: 1, fired: 1 })
})

test('reset arrives as RST, also where the client has nothing in flight', async () => {
  await using target = await startTarget()
  await using proxy = await proxyFor(target, { onRequest: () => ({ kind: 'reset' }) })
  const socket = connect(proxy.port, '127.0.0.1')
  socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi')
  await expect(once(socket, 'end')).rejects.toMatchObject({ code: 'ECONNRESET' })
})

test('a truncated answer has its head and half of its body', async () => {
  await using target = await startTarget()
  await using proxy = await proxyFor(target)
  proxy.faults.add({ kind: 'truncateResponse' })
  const socket = connect(proxy.port, '127.0.0.1').setEncoding('utf8')
  socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde')
  let received = ''
  for await (const chunk of socket) received += String(chunk)
  expect(received).toMatch(/^HTTP\/1.1 200 Fine\r\n/)
  expect(received).toContain('echo ')
  expect(received).not.toContain('abcde')
})

test('keeps one client connection and one target connection alive over requests and delays', async () => {
  await using target = await startTarget()
  await using proxy = await proxyFor(target)
  using agent = disposable(new Agent({ keepAlive: true, maxSockets: 1 }))
  proxy.faults.add({ kind: 'delayRequest', delayMs: 1, times: 1 })
  proxy.faults.add({ kind: 'delayResponse', delayMs: 1, times: 1 })
  proxy.faults.add({ kind: 'respond', status: 429, headers: { 'Retry-After': '1' }, body: 'slow', times: 1 })
  const ports = new Set<number | undefined>()
  const statuses: (number | undefined)[] = []
  for (let index = 0; index < 5; index += 1) {
    const req = request({ host: '127.0.0.1', port: proxy.port, method: 'POST', agent }).end('x')
    const [res]: IncomingMessage[] = await once(req, 'response')
    ports.add(req.socket?.localPort)
    statuses.push(res?.statusCode)
    res?.resume()
    if (res) await once(res, 'end')
  }
  expect(ports.size).toBe(1)
  expect(statuses).toEqual([200, 200, 429, 200, 200])
  expect(target.applied).toHaveLength(4)
  expect(proxy.counters().faults).toMatchObject({
    delayRequest: { planned: 1, fired: 1 },
    delayResponse: { planned: 1, fired: 1 },
    respond: { planned: 1, fired: 1 },
  })
})

test('a delay lies before the request is applied, or between that and the answer', async () => {
  await using target = await startTarget()
  await using proxy = await proxyFor(target)
  // A timer may fire a millisecond early by this clock.
  const atLeastMs = 98
  proxy.faults.add({ kind: 'delayRequest', delayMs: 100, times: 1 })
  const sentAtMs = performance.now()
  await send(proxy.port)
  expect((target.applied[0]?.atMs ?? 0) - sentAtMs).toBeGreaterThanOrEqual(atLeastMs)
  proxy.faults.add({ kind: 'delayResponse', delayMs: 100, times: 1 })
  await send(proxy.port)
  expect(performance.now() - (target.applied[1]?.atMs ?? Infinity)).toBeGreaterThanOrEqual(atLeastMs)
})

test.each<['blackhole' | 'blackholeAfterApply', number]>([
  ['blackhole', 0],
  ['blackholeAfterApply', 1],
])('%s: no answer on an open connection, until the client leaves', async (kind, applied) => {
  await using target = await startTarget()
  await using proxy = await proxyFor(target)
  proxy.faults.add({ kind, match: writes })
  const leave = new AbortController()
  const answer = send(proxy.port, { path: '/hole', headers: asWrite, signal: leave.signal })
  const outcome = Promise.race([
    answer.then(
      () => 'answered',
      () => 'failed',
    ),
    once(leave.signal, 'abort').then(() => 'open'),
  ])
  await waitFor(() => proxy.counters().faults[kind].fired === 1, { what: 'the fault' })
  expect(await send(proxy.port, { path: '/other' })).toMatchObject({ status: 200 })
  leave.abort()
  expect(await outcome).not.toBe('answered')
  await expect(answer).rejects.toThrow('abort')
  expect(paths(target)).toEqual([...Array<string>(applied).fill('/hole'), '/other'])
})

test('a fault is aimed by header, and a rule with times is used up', async () => {
  await using target = await startTarget()
  await using proxy = await proxyFor(target)
  proxy.faults.add({ kind: 'respond', status: 503, match: writes, times: 2 })
  const statuses: (number | undefined)[] = []
  for (const headers of [{ 'X-Amz-Target': 'Timestream_20181101.DescribeEndpoints' }, asWrite, asWrite, asWrite]) {
    statuses.push((await send(proxy.port, { headers })).status)
  }
  expect(statuses).toEqual([200, 503, 503, 200])
})

test('a probability draws from the given numbers, and is refused without them', async () => {
  await using target = await startTarget()
  const numbers = [0.1, 0.9, 0.29, 0.3]
  await using proxy = await proxyFor(target, { random: () => numbers.shift() ?? 1 })
  const rule = proxy.faults.add({ kind: 'respond', status: 503, probability: 0.3 })
  const statuses: (number | undefined)[] = []
  for (let index = 0; index < 4; index += 1) statuses.push((await send(proxy.port)).status)
  expect(statuses).toEqual([503, 200, 503, 200])
  expect(rule).toMatchObject({ planned: 2, fired: 2 })
  await using unseeded = await proxyFor(target)
  expect(() => unseeded.faults.add({ kind: 'reset', probability: 0.3, times: 0 })).toThrow(
    /times must be a whole number from 1, and is 0; .*probability needs the proxy option `random`/,
  )
})

test('the hook sees every request in order and goes before the rules', async () => {
  await using target = await startTarget()
  const seen: RequestInfo[] = []
  await using proxy = await proxyFor(target, {
    onRequest: (info) => {
      seen.push(info)
      return info.number === 2 ? { kind: 'cutAfterApply' } : undefined
    },
  })
  proxy.faults.add({ kind: 'respond', status: 503, match: ({ path }) => path === '/rule' })
  expect(await send(proxy.port, { path: '/rule', body: 'abc' })).toMatchObject({ status: 503 })
  await expect(send(proxy.port, { path: '/rule' })).rejects.toThrow('hang up')
  expect(seen.map(({ number, method, path, bodyBytes }) => [number, method, path, bodyBytes])).toEqual([
    [1, 'POST', '/rule', 3],
    [2, 'POST', '/rule', 0],
  ])
  expect(paths(target)).toEqual(['/rule'])
  expect(proxy.counters().faults.cutAfterApply).toEqual({ planned: 1, fired: 1 })
})

test('the response hook sees what the target answered and can keep it back', async () => {
  await using target = await startTarget()
  const seen: unknown[] = []
  await using proxy = await proxyFor(target, {
    onResponse: ({ request: { path, number }, status, headers, bodyBytes, body }) => {
      seen.push([number, path, status, headers['x-applied'], bodyBytes, body.toString()])
      return path === '/cut' ? { kind: 'cutAfterApply' } : undefined
    },
  })
  expect(await send(proxy.port, { path: '/pass', body: 'a' })).toMatchObject({ body: 'echo a' })
  await expect(send(proxy.port, { path: '/cut', body: 'bc' })).rejects.toThrow('hang up')
  expect(seen).toEqual([
    [1, '/pass', 200, '1', 6, 'echo a'],
    [2, '/cut', 200, '2', 7, 'echo bc'],
  ])
})

test('a request whose client leaves while it is held is never forwarded', async () => {
  await using target = await startTarget()
  const holding = Promise.withResolvers<undefined>()
  await using proxy = await proxyFor(target, {
    onRequest: ({ path }) => (path === '/hook' ? holding.promise : undefined),
  })
  const rule = proxy.faults.add({
    kind: 'delayRequest',
    delayMs: 60_000,
    times: 1,
    match: ({ path }) => path === '/delay',
  })
  for (const path of ['/hook', '/delay']) {
    const leave = new AbortController()
    const before = proxy.counters()
    const answer = send(proxy.port, { path, signal: leave.signal })
    await waitFor(() => proxy.counters().requests > before.requests, { what: 'the request' })
    leave.abort()
    await expect(answer).rejects.toThrow('abort')
    await waitFor(() => proxy.counters().dropped === before.dropped + 1, { what: 'the request to be dropped' })
  }
  holding.resolve(undefined)
  expect(await send(proxy.port, { path: '/end' })).toMatchObject({ status: 200 })
  expect(paths(target)).toEqual(['/end'])
  // It missed, so it is still to come.
  expect(rule).toMatchObject({ planned: 1, fired: 0 })
})

test('a cut whose client left first has missed, and lands on a later request', async () => {
  await using target = await startTarget()
  await using proxy = await proxyFor(target)
  const rule = proxy.faults.add({ kind: 'cutAfterApply', times: 1 })
  const leave = new AbortController()
  const answer = send(proxy.port, { path: '/never', signal: leave.signal })
  await waitFor(() => target.applied.length === 1, { what: 'the request at the target' })
  leave.abort()
  await expect(answer).rejects.toThrow('abort')
  await waitFor(() => target.abandoned.includes('/never'), { what: 'the target to notice' })
  expect(rule.fired).toBe(0)
  await expect(send(proxy.port, { path: '/later' })).rejects.toThrow('hang up')
  expect(rule.fired).toBe(1)
})

test('a removed rule plans no more than it took', async () => {
  await using target = await startTarget()
  await using proxy = await proxyFor(target)
  const rule = proxy.faults.add({ kind: 'respond', status: 500, times: 5 })
  await send(proxy.port)
  expect(proxy.counters().faults.respond).toEqual({ planned: 5, fired: 1 })
  proxy.faults.clear()
  expect(await send(proxy.port)).toMatchObject({ status: 200 })
  expect(rule).toMatchObject({ planned: 1, fired: 1 })
  expect(proxy.counters().faults.respond).toEqual({ planned: 1, fired: 1 })
})

test('answers without end stream through', async () => {
  await using target = await startTarget()
  await using proxy = await proxyFor(target)
  const req = request({ host: '127.0.0.1', port: proxy.port, path: '/events', method: 'POST' }).end()
  const [res]: IncomingMessage[] = await once(req, 'response')
  expect(String(await once(res ?? req, 'data'))).toBe('first\n')
  req.destroy()
  await waitFor(() => target.abandoned.includes('/events'), { what: 'the target to notice' })
})

test('a target that breaks off or is not there resets the client, and is a problem, not a fault', async () => {
  const target = await startTarget()
  await using proxy = await proxyFor(target)
  await expect(send(proxy.port, { path: '/break' })).rejects.toThrow(/aborted|ECONNRESET/)
  await target[Symbol.asyncDispose]()
  await expect(send(proxy.port, { path: '/gone' })).rejects.toThrow(/hang up|ECONNRESET/)
  expect(proxy.counters()).toMatchObject({ targetFailures: 2, passed: 0, responsesCut: 0 })
  expect(proxy.problems).toEqual([expect.stringContaining('POST /break'), expect.stringContaining('ECONNREFUSED')])
})

test('a hook that throws and a body above the limit reset the client and say so', async () => {
  await using target = await startTarget()
  await using proxy = await proxyFor(target, {
    maxBodyBytes: 100,
    onRequest: () => {
      throw new Error('hook broke')
    },
  })
  await expect(send(proxy.port, { body: 'x' })).rejects.toThrow(/hang up|ECONNRESET/)
  await expect(send(proxy.port, { body: 'x'.repeat(101) })).rejects.toThrow(/hang up|ECONNRESET|EPIPE/)
  expect(proxy.problems).toEqual([expect.stringContaining('hook broke'), expect.stringContaining('maxBodyBytes = 100')])
  expect(target.applied).toHaveLength(0)
})

test('close ends open connections, held requests and the listener', async () => {
  await using target = await startTarget()
  const proxy = await proxyFor(target)
  proxy.faults.add({ kind: 'blackhole', match: ({ path }) => path === '/hole' })
  proxy.faults.add({ kind: 'delayRequest', delayMs: 60_000 })
  const hole = send(proxy.port, { path: '/hole' })
  const held = send(proxy.port, { path: '/held' })
  await waitFor(() => proxy.counters().requests === 2, { what: 'both requests' })
  const outcomes = Promise.allSettled([hole, held])
  await proxy.close()
  expect((await outcomes).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  await proxy.close()
  await expect(send(proxy.port)).rejects.toThrow('ECONNREFUSED')
  expect(target.applied).toHaveLength(0)
})

test('a taken port is one clear error', async () => {
  await using target = await startTarget()
  await expect(proxyFor(target, { port: target.port })).rejects.toThrow(
    `cannot listen on 127.0.0.1:${target.port}: Error: listen EADDRINUSE`,
  )
})

function disposable(agent: Agent): Agent & Disposable {
  return Object.assign(agent, { [Symbol.dispose]: () => agent.destroy() })
}
