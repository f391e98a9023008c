import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import { noRestart, Secret } from '@sluice/core'
import { requireOrSkip, temporaryFolder } from '@sluice/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RemoteWriteOptions, TlsOptions } from '../src/options.ts'
import { RemoteWriteClient } from '../src/client.ts'

const run = promisify(execFile)
const hasOpenssl = await run('openssl', ['version']).then(
  () => true,
  () => false,
)

/** A certificate that nobody knows, for 127.0.0.1 and the name `receiver`. */
async function certificate(): Promise<{ readonly cert: Buffer; readonly key: Buffer }> {
  await using folder = await temporaryFolder()
  const [cert, key] = [join(folder.path, 'cert.pem'), join(folder.path, 'key.pem')]
  const names = 'subjectAltName=IP:127.0.0.1,DNS:receiver'
  const make = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  await run('openssl', [...make, '-subj', '/CN=receiver', '-addext', names, '-keyout', key, '-out', cert])
  return { cert: await readFile(cert), key: await readFile(key) }
}

describe.skipIf(requireOrSkip('openssl', hasOpenssl, 'openssl is not on the PATH'))('https', () => {
  let pem: { readonly cert: Buffer; readonly key: Buffer }
  let server: Server
  const clients: string[] = []

  beforeAll(async () => {
    pem = await certificate()
    server = createServer(
      { ...pem, ca: pem.cert, requestCert: true, rejectUnauthorized: false },
      (request, response) => {
        clients.push(String((request.socket as TLSSocket).authorized))
        request.resume()
        response.writeHead(204).end()
      },
    ).listen(0, '127.0.0.1')
    await once(server, 'listening')
  })

  afterAll(() => {
    server.closeAllConnections()
    server.close()
  })

  async function write(tls?: TlsOptions, more: Partial<RemoteWriteOptions> = {}): Promise<void> {
    const { port } = server.address() as AddressInfo
    const client = new RemoteWriteClient({
      prometheusRemoteWriteUrl: `https://127.0.0.1:${port}/`,
      ...(tls === undefined ? {} : { tls }),
      ...more,
      restart: noRestart(),
    })
    await client.series({ name: 'up' }).add(1)
    await client.close()
  }

  test('a certificate that nobody knows is not trusted', async () => {
    await expect(write()).rejects.toMatchObject({ code: 'SLUICE_SINK_FAILED', restartable: true })
    await expect(write()).rejects.toThrow(/is not trusted \(see tls\.ca\)/)
    expect(clients).toStrictEqual([])
  })

  test('with its ca it is, and a certificate of the client is shown', async () => {
    await write({ ca: pem.cert })
    await write({ ca: [pem.cert], cert: pem.cert, key: new Secret(pem.key.toString()), servername: 'receiver' })
    expect(clients).toStrictEqual(['false', 'true'])
  })

  test('the name has to be the one that was asked for', async () => {
    await expect(write({ ca: pem.cert, servername: 'somebody-else' })).rejects.toThrow(/is not trusted/)
  })

  test('an https proxy needs a ca too, and is not taken for the receiver where it is missing', async () => {
    const own = await certificate()
    const tunnels: string[] = []
    const proxy = createServer(own).listen(0, '127.0.0.1')
    proxy.on('connect', ({ url = '' }, socket) => {
      tunnels.push(url)
      const receiver = connect(Number(url.split(':')[1]), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n')
        socket.pipe(receiver).pipe(socket)
      }).on('error', () => socket.destroy())
      socket.on('error', () => receiver.destroy())
    })
    await once(proxy, 'listening')
    try {
      const proxyUrl = `https://127.0.0.1:${(proxy.address() as AddressInfo).port}`
      await expect(write({ ca: pem.cert }, { proxyUrl })).rejects.toThrow(
        /or the proxy of proxyUrl, is not trusted \(see tls\.ca\)/,
      )
      expect(tunnels).toStrictEqual([])
      clients.length = 0
      await write({ ca: [pem.cert, own.cert] }, { proxyUrl })
      expect(tunnels).toStrictEqual([`127.0.0.1:${(server.address() as AddressInfo).port}`])
      expect(clients).toStrictEqual(['false'])
    } finally {
      proxy.closeAllConnections()
      proxy.close()
    }
  })
})
