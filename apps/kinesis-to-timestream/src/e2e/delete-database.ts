import { setTimeout as pause } from 'node:timers/promises'
import {
  ConflictException,
  DeleteDatabaseCommand,
  DeleteTableCommand,
  DescribeDatabaseCommand,
  ResourceNotFoundException,
  type TimestreamWriteClient,
  ValidationException,
} from '@aws-sdk/client-timestream-write'

/** A table is deleted in the background, and a database with a table cannot be deleted. */
const TRIES = 12
const PAUSE_MS = 5_000

/**
 * Deletes a table and its database; what is not there is deleted.
 *
 * @returns whether the service knows the database no more.
 */
export async function deleteDatabase(client: TimestreamWriteClient, database: string, table: string): Promise<boolean> {
  await orMissing(client.send(new DeleteTableCommand({ DatabaseName: database, TableName: table })))
  for (let tries = 1; ; tries++) {
    try {
      await orMissing(client.send(new DeleteDatabaseCommand({ DatabaseName: database })))
      break
    } catch (error) {
      const isBusy = error instanceof ValidationException || error instanceof ConflictException
      if (!isBusy || tries === TRIES) throw error
      await pause(PAUSE_MS)
    }
  }
  return (await orMissing(client.send(new DescribeDatabaseCommand({ DatabaseName: database })))) === undefined
}

async function orMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof ResourceNotFoundException) return undefined
    throw error
  }
}
