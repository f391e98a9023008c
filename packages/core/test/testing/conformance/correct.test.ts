import { afterAll, describe, test } from 'vitest'

import { describeSink } from '../../../src/testing/conformance/runner.ts'
import { plainSubject } from './plain-sink.ts'
import { engineSubject, PER_ENTRY, PER_REQUEST } from './subjects.ts'

const runner = { describe, test, afterAll }

describeSink(runner, engineSubject('the engine, answers per entry', PER_ENTRY))
describeSink(runner, engineSubject('the engine, answers per request', PER_REQUEST))
describeSink(runner, engineSubject('the engine without order', { ...PER_ENTRY, orderKey: 'none', destinations: false }))
describeSink(runner, plainSubject('a writer by hand'))
