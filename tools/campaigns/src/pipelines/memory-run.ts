import type { RunContext } from '../campaign.ts'
import { type Books, closeBooks } from '../ledger/books.ts'
import { type MemoryPipelineUnderTest, openMemory } from './memory-servers.ts'

/**
 * A campaign's work on the pipeline that was asked for. However it ends the books are closed, and what went wrong is in them: never
 * rejects.
 */
export async function runOverMemory(
  { pipeline: { name }, folder, signal }: RunContext,
  books: Books,
  work: (pipeline: MemoryPipelineUnderTest) => Promise<void>,
): Promise<void> {
  try {
    await using pipeline = await openMemory(name, folder)
    try {
      await work(pipeline)
      books.completed = true
    } finally {
      await closeBooks(books, pipeline)
    }
  } catch (error) {
    const reason: unknown = signal.aborted ? signal.reason : error
    books.failures.push(reason instanceof Error ? reason.message : String(reason))
  }
}
