import { SluiceError } from '../../errors.ts'
import { queued } from './cases-replay.ts'
import { idsOf } from './emitted.ts'
import type { SourceCase } from './source-case.ts'

/** Fetching, memory, poison, failures. */
export const READING_CASES: readonly SourceCase[] = [
  {
    name: 'ready resolves when there is a batch, and when fetching stops',
    promises: [4],
    async run(open) {
      const stand = await open()
      const life = await stand.life()
      const [reader] = life.readers
      if (reader === undefined) throw new Error('a life has a reader')
      await stand.clock.advance(1000)
      stand.put(1)
      await stand.until('ready resolves, and there is a batch', () => queued(life) > 0)
      const ready = stand.watch(reader.ready())
      await stand.until('ready resolves while a batch is there', () => ready.done, 1000)
      await stand.emit(life, 1)
      const waits = stand.watch(reader.ready())
      stand.put(1)
      await stand.until('ready resolves for a new record', () => waits.done)
      await stand.emit(life, 1)
      await stand.emitRest(life, 1000)
      const stopped = stand.watch(reader.ready())
      life.stopFetching()
      await stand.until('ready resolves when fetching stops', () => stopped.done, 1000)
    },
  },
  {
    name: 'a reader holds no more than its limit, and fetches nothing while it is full',
    promises: [4],
    async run(open) {
      const stand = await open()
      const sizeBytes = Math.ceil(stand.service.maxFetchedBytes / 8)
      const ids = stand.put(24, undefined, { sizeBytes })
      const life = await stand.life()
      const [reader] = life.readers
      if (reader === undefined) throw new Error('a life has a reader')
      await stand.until('records are fetched', () => queued(life) > 0)
      for (let waited = 0; waited < 10_000; waited += 500) {
        await stand.clock.advance(500)
        stand.check()
      }
      const { fetches } = stand.service
      await stand.clock.advance(20_000)
      stand.expect(stand.service.fetches === fetches, 'records were fetched although the reader is full')
      let heldBytes = 0
      const batches = []
      for (let batch = reader.poll(); batch !== undefined; batch = reader.poll()) {
        heldBytes += batch.byteLengths.reduce((sum, bytes) => sum + bytes, 0)
        batches.push(batch)
        if (heldBytes > stand.service.maxFetchedBytes) break
        // Polled one after the other without being emitted, as nobody does: only to count what the reader held.
      }
      stand.expect(
        heldBytes <= stand.service.maxFetchedBytes,
        `the reader held ${heldBytes} bytes, allowed are ${stand.service.maxFetchedBytes}`,
      )
      stand.expect(
        batches.length > 0 && batches.flatMap(({ values }) => values).length < ids.length,
        'all records were fetched at once',
      )
    },
  },
  {
    name: 'memory is given back when records are emitted',
    promises: [4],
    async run(open) {
      const stand = await open()
      const sizeBytes = Math.ceil(stand.service.maxFetchedBytes / 8)
      const ids = stand.put(24, undefined, { sizeBytes })
      const life = await stand.life()
      stand.expectRecords('more than fits', await stand.emit(life, 24), ids)
      life.report()
      const split = stand.put(1)
      stand.expectRecords('after them', await stand.emit(life, 1), split)
    },
  },
  {
    name: 'a split that is paused is not fetched until it is resumed',
    promises: [4],
    needs: { acknowledgement: ['prefix'] },
    async run(open) {
      const stand = await open()
      const [a, b] = stand.splitIds
      const first = stand.put(2, a)
      const life = await stand.life()
      await stand.emit(life, 2)
      for (const reader of life.readers) reader.pauseSplits([a])
      const { splits } = life.readers[0]?.status() ?? { splits: [] }
      stand.expect(
        splits.find(({ splitId }) => splitId === a)?.paused === true,
        'status does not say that the split is paused',
      )
      // The fetch under way may still answer, once.
      await stand.emitRest(life)
      const between = stand.put(1, a)
      const late = await stand.emitRest(life)
      const later = stand.put(3, a)
      const other = stand.put(3, b)
      stand.expectRecords('while one split is paused', await stand.emitRest(life), other)
      for (const reader of life.readers) reader.resumeSplits([a])
      const due = late.length > 0 ? later : [...between, ...later]
      stand.expectRecords('when it is resumed', await stand.emit(life, due.length), due)
      stand.expectRecords('before', life.emitted.slice(0, 2), first)
    },
  },
  {
    name: 'a record that cannot be decoded is isolated',
    promises: [9],
    async run(open) {
      const stand = await open()
      const ids = [...stand.put(2), ...stand.put(1, undefined, { undecodable: true }), ...stand.put(2)]
      const life = await stand.life()
      const emitted = await stand.emit(life, 5)
      stand.expectRecords('with poison among them', emitted, ids)
      stand.expect(
        emitted.map(({ undecodable }) => undecodable).join() === 'false,false,true,false,false',
        'not just the third record has a decode error',
      )
      life.settle()
      await life.complete(life.snapshot())
    },
  },
  {
    name: 'each record has its raw bytes and a position of its own',
    promises: [9],
    async run(open) {
      const stand = await open()
      stand.put(4)
      stand.put(1, undefined, { undecodable: true })
      const life = await stand.life()
      const emitted = await stand.emit(life, 5)
      const raws = emitted.map(({ batch, index }) => batch.raw(index))
      for (const [index, raw] of raws.entries()) {
        const text = Buffer.from(raw?.bytes ?? []).toString('latin1')
        stand.expect(
          text.includes(emitted[index]?.id ?? '?'),
          `the raw bytes of ${emitted[index]?.id} are '${text.slice(0, 80)}'`,
        )
        stand.expect(typeof raw?.position === 'string' && raw.position !== '', 'a raw record has no position')
      }
      stand.expect(new Set(raws.map((raw) => raw?.position)).size === 5, 'two records have one position')
      const lengths = emitted.map(({ batch }) => batch.values.length === batch.byteLengths.length)
      stand.expect(lengths.every(Boolean), 'a batch has not one byte length for each value')
    },
  },
  {
    name: 'after a failure that a restart may heal nothing is lost',
    promises: [7],
    async run(open) {
      const stand = await open()
      stand.mayFail = true
      const ids = stand.put(4)
      const life = await stand.life()
      await stand.emit(life, 4)
      life.settle()
      const restored = life.snapshot()
      await life.complete(restored)
      stand.service.failNextFetch('restartable')
      const later = stand.put(3)
      await stand.emitRest(life, 30_000)
      const [failure] = life.failures
      stand.expect(failure === undefined || failure.restartable, 'a failure that a restart may heal is not restartable')
      stand.expect(failure === undefined || SluiceError.isInstance(failure), 'the failure is no SluiceError')
      await life.close()
      stand.service.redeliver?.()
      const next = await stand.life({ restored })
      const emitted = await stand.emitRest(next)
      const missing = later.filter((id) => !idsOf([...life.emitted, ...emitted]).includes(id))
      stand.expect(missing.length === 0, `${missing.length} records are lost`)
      stand.expect(
        idsOf(emitted).every((id) => !ids.includes(id)),
        'a record that was acknowledged was emitted again',
      )
    },
  },
  {
    name: 'a failure that no restart heals ends the attempt for good',
    promises: [8],
    async run(open) {
      const stand = await open()
      stand.mayFail = true
      stand.put(2)
      stand.service.failNextFetch('final')
      const life = await stand.life()
      await stand.until('the source fails', () => life.failures.length > 0)
      stand.expect(life.failures[0]?.restartable === false, 'the failure is restartable')
    },
  },
  {
    name: 'a position that is gone fails with what was wanted and what there is',
    promises: [10],
    needs: { lostPositions: ['fail', 'policy'] },
    async run(open) {
      const stand = await open()
      stand.mayFail = true
      const [a] = stand.splitIds
      stand.put(9, a)
      const life = await stand.life()
      await stand.emit(life, 3)
      life.settle()
      const restored = life.snapshot()
      await life.complete(restored)
      await life.close()
      await stand.service.expire?.(a, 6)
      stand.anotherProcess()
      const next = await stand.life({ restored })
      await stand.until('the source fails', () => {
        next.pump()
        return next.failures.length > 0
      })
      stand.expect(next.emitted.length === 0, `${next.emitted.length} records were emitted from behind the gap`)
      const failure = next.failures[0] as SluiceError
      stand.expect(
        failure.code === 'SLUICE_POSITION_LOST',
        `the source failed with ${failure.code}: ${failure.message}`,
      )
      stand.expect(!failure.restartable, 'a lost position is restartable: it would fail again and again')
      stand.expect(failure.facts['split'] === a, `the fact split is ${String(failure.facts['split'])}`)
      for (const fact of ['wanted', 'oldest', 'newest']) {
        stand.expect(failure.facts[fact] !== undefined, `the fact ${fact} is missing`)
      }
    },
  },
  {
    name: 'with a policy, reading goes on behind the gap, which is logged and counted',
    promises: [10],
    needs: { lostPositions: ['policy'] },
    async run(open) {
      for (const onPositionLost of ['earliest', 'latest'] as const) {
        const stand = await open({ onPositionLost })
        stand.book.mayJump = true
        const [a] = stand.splitIds
        const ids = stand.put(9, a)
        const life = await stand.life()
        await stand.emit(life, 3)
        life.settle()
        const restored = life.snapshot()
        await life.complete(restored)
        await life.close()
        await stand.service.expire?.(a, 6)
        stand.anotherProcess()
        const next = await stand.life({ restored })
        await stand.emitRest(next)
        const later = stand.put(2, a)
        await stand.emitRest(next)
        const due = [...(onPositionLost === 'earliest' ? ids.slice(6) : []), ...later]
        stand.expectRecords(`with ${onPositionLost}`, next.emitted, due)
        stand.expect(next.warnings.length > 0, 'the gap was not logged as a warning')
        const counted = next.metrics
          .collect()
          .some(
            ({ definition, value }) =>
              definition.kind === 'counter' && /lost|gap/iu.test(definition.name) && value === 1,
          )
        stand.expect(counted, 'no counter of lost positions or gaps says 1')
      }
    },
  },
]
