import { acknowledged, complete } from './cases-acknowledge.ts'
import { type Emitted, idsOf, stateBefore } from './emitted.ts'
import type { Life, Snapshot } from './life.ts'
import type { SourceCase } from './source-case.ts'

/** Checkpoints, and starting from them. */
export const REPLAY_CASES: readonly SourceCase[] = [
  {
    name: 'a snapshot goes as far as it is limited to, and the next one on from there',
    promises: [2, 7],
    needs: { acknowledgement: ['prefix'] },
    async run(open) {
      const stand = await open()
      const [a] = stand.splitIds
      stand.put(8, a)
      const life = await stand.life()
      await stand.emit(life, 5)
      const third = life.emitted[2]
      const limit = third === undefined ? undefined : stateBefore(third)
      if (limit === undefined) throw new Error('the source does not say where a split was before a record')
      const stateOf = ({ splits }: Snapshot): string => JSON.stringify(splits.find(({ splitId }) => splitId === a))
      life.settle(life.emitted.slice(0, 2))
      const limited = life.snapshot([limit], 2)
      stand.expect(stateOf(limited) === JSON.stringify(limit), `the snapshot has ${stateOf(limited)}, not the limit`)
      await complete(stand, life, limited)
      const external = stand.abilities.positionAuthority === 'external'
      const told = (count: number): boolean => !external || acknowledged(stand) === count
      stand.expect(told(2), `${acknowledged(stand)} records were acknowledged, 2 are covered`)
      life.settle()
      const next = life.snapshot()
      stand.expect(stateOf(next) !== stateOf(limited), 'the next snapshot has the limit still')
      await complete(stand, life, next)
      stand.expect(told(5), `${acknowledged(stand)} records were acknowledged, 5 are covered`)
    },
  },
  {
    name: 'records of a split are emitted in their order, each once',
    promises: [6, 10],
    async run(open) {
      const stand = await open()
      const [a, b] = stand.splitIds
      const first = stand.put(12, a)
      const second = stand.put(7, b)
      const life = await stand.life()
      const emitted = [...(await stand.emit(life, 19)), ...(await stand.emitRest(life))]
      stand.expectRecords('the first split', of(emitted, first), first)
      stand.expectRecords('the second split', of(emitted, second), second)
      const later = stand.put(3, a)
      stand.expectRecords('records that came later', await stand.emit(life, 3), later)
    },
  },
  {
    name: 'a restart from each checkpoint loses nothing, and repeats only what lies after it',
    promises: [7, 11],
    needs: { positionAuthority: ['checkpoint'] },
    async run(open) {
      const stand = await open()
      const ids = [stand.put(13, stand.splitIds[0]), stand.put(8, stand.splitIds[1])]
      const life = await stand.life()
      const snapshots = [life.snapshot()]
      for (const count of [1, 3, 6, 7, 4]) {
        await stand.emit(life, count)
        life.settle()
        snapshots.push(life.snapshot())
        if (count === 6) await life.complete(snapshots.at(-1) as Snapshot)
      }
      const { emitted } = life
      await life.close()
      for (const restored of snapshots) {
        stand.anotherProcess()
        const next = await stand.life({ restored })
        const covered = idsOf(emitted.slice(0, restored.barrier))
        const repeated = await stand.emitRest(next)
        for (const split of ids) {
          const due = split.filter((id) => !covered.includes(id))
          stand.expectRecords(`from checkpoint ${restored.id}`, of(repeated, split), due)
        }
        await next.close()
      }
    },
  },
  {
    name: 'a restart after each acknowledgement loses nothing, and repeats only what was not acknowledged',
    promises: [7, 11],
    needs: { positionAuthority: ['external'] },
    async run(open) {
      for (const rounds of [[], [4], [4, 3], [1, 1, 9]]) {
        const stand = await open()
        const ids = [stand.put(8, stand.splitIds[0]), stand.put(6, stand.splitIds[1])]
        const life = await stand.life()
        for (const count of rounds) {
          await stand.emit(life, count)
          life.settle()
          const error = await life.complete(life.snapshot())
          stand.expect(error === undefined, 'an acknowledgement failed')
        }
        const covered = idsOf(life.emitted)
        // What is in hand when the process dies was not acknowledged.
        await stand.emit(life, 2)
        await life.close()
        stand.anotherProcess()
        stand.service.redeliver?.()
        const next = await stand.life()
        const repeated = await stand.emitRest(next)
        for (const split of ids) {
          const due = split.filter((id) => !covered.includes(id))
          stand.expectRecords(`after ${rounds.length} acknowledgements`, of(repeated, split).sort(byId(split)), due)
        }
      }
    },
  },
  {
    name: 'a position moves when records are emitted, never when they are fetched',
    promises: [7],
    needs: { positionAuthority: ['checkpoint'] },
    async run(open) {
      const stand = await open()
      const ids = stand.put(9)
      const life = await stand.life()
      await stand.until('records are fetched', () => queued(life) > 0)
      const fetched = life.snapshot()
      await stand.emit(life, 2)
      const emitted = life.snapshot()
      await life.close()
      for (const [restored, due] of [[fetched, ids] as const, [emitted, ids.slice(2)] as const]) {
        const next = await stand.life({ restored })
        stand.expectRecords(`from a checkpoint after ${restored.barrier} of them`, await stand.emitRest(next), due)
        await next.close()
      }
    },
  },
  {
    name: 'a barrier may fall inside a batch',
    promises: [5, 7],
    needs: { positionAuthority: ['checkpoint'] },
    async run(open) {
      const stand = await open()
      const ids = stand.put(6)
      const life = await stand.life()
      const snapshots = [life.snapshot()]
      for (let count = 0; count < 6; count++) {
        await stand.emit(life, 1)
        snapshots.push(life.snapshot())
      }
      await life.close()
      for (const [count, restored] of snapshots.entries()) {
        const next = await stand.life({ restored })
        stand.expectRecords(`from a barrier after ${count} records`, await stand.emitRest(next, 1000), ids.slice(count))
        await next.close()
      }
    },
  },
  {
    name: 'a checkpoint restores with any parallelism',
    promises: [7],
    needs: { assignment: ['enumerator'], positionAuthority: ['checkpoint'] },
    async run(open) {
      const stand = await open()
      const ids = [stand.put(7, stand.splitIds[0]), stand.put(7, stand.splitIds[1])]
      let life = await stand.life({ parallelism: 2 })
      let left = ids.flat()
      for (const parallelism of [3, 1, 2]) {
        left = left.filter((id) => !idsOf(life.emitted).includes(id))
        await stand.emit(life, 3)
        left = left.filter((id) => !idsOf(life.emitted).includes(id))
        const restored = life.snapshot()
        await life.close()
        stand.anotherProcess()
        life = await stand.life({ parallelism, restored })
      }
      const rest = await stand.emitRest(life)
      for (const split of ids) {
        const due = split.filter((id) => left.includes(id))
        stand.expectRecords('with other parallelisms', of(rest, split), due)
      }
    },
  },
  {
    name: 'state has a version, and each split is in it once',
    promises: [7],
    async run(open) {
      const stand = await open()
      stand.put(4)
      const { stateVersion, uid } = stand.source
      stand.expect(Number.isSafeInteger(stateVersion) && stateVersion >= 1, `stateVersion is ${stateVersion}`)
      stand.expect(typeof uid === 'string' && uid !== '', 'the source has no uid')
      const life = await stand.life({ parallelism: 2 })
      await stand.emit(life, 4)
      const { splits } = life.snapshot()
      const splitIds = splits.map(({ splitId }) => splitId)
      stand.expect(new Set(splitIds).size === splitIds.length, `a split is in the snapshot twice: ${splitIds.join()}`)
      const absent = stand.service.splitIds.find((splitId) => !splitIds.includes(splitId))
      stand.expect(absent === undefined, `split '${absent}' is missing in the snapshot`)
      for (const splitId of splitIds) {
        const has = life.readers.filter((reader) => reader.splitState(splitId) !== undefined).length
        stand.expect(has === 1, `${has} readers have a state of split '${splitId}'`)
      }
      stand.expect(
        life.readers[0]?.splitState('nobody has it') === undefined,
        'a reader has a state of a split that it does not have',
      )
    },
  },
  {
    name: 'the first start position is stable before the first read',
    promises: [10],
    needs: { acknowledgement: ['prefix'] },
    async run(open) {
      const stand = await open({ initialPosition: 'latest' })
      stand.put(3)
      await stand.clock.advance(10_000)
      const first = await stand.life({ open: false })
      // As core stores it before anything is read; where the service keeps positions, the source has committed it.
      const restored = first.snapshot()
      await first.close()
      const ids = stand.put(4)
      stand.anotherProcess()
      const next = await stand.life(stand.abilities.positionAuthority === 'checkpoint' ? { restored } : {})
      stand.expectRecords('records between two starts', await stand.emitRest(next), ids)
    },
  },
  {
    name: 'nothing is read before the start positions are stored',
    promises: [10],
    async run(open) {
      const stand = await open()
      stand.put(3)
      const life = await stand.life({ open: false })
      await stand.clock.advance(10_000)
      stand.expect(stand.service.fetches === 0, 'records were fetched before the splits were handed out')
      life.open()
      await stand.emit(life, 3)
    },
  },
]

/** Those of some ids. */
function of(records: readonly Emitted[], ids: readonly string[]): Emitted[] {
  return records.filter(({ id }) => ids.includes(id))
}

function byId(ids: readonly string[]): (a: { readonly id: string }, b: { readonly id: string }) => number {
  return (a, b) => ids.indexOf(a.id) - ids.indexOf(b.id)
}

/** Records that the readers hold and nobody polled. */
export function queued(life: Life): number {
  return life.readers.reduce((sum, reader) => sum + reader.status().queuedRecords, 0)
}
