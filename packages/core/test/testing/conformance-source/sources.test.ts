import { afterAll, describe, test } from 'vitest'

import { describeSource } from '../../../src/testing/conformance-source/runner.ts'
import { groupSubject, memorySubject, queueSubject, scriptedSubject } from './services.ts'

const runner = { describe, test, afterAll }

describeSource(runner, memorySubject())
describeSource(runner, groupSubject())
describeSource(runner, queueSubject())
describeSource(runner, scriptedSubject())
