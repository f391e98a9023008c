import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Extractor, ExtractorConfig, ExtractorLogLevel, type ExtractorMessage } from '@microsoft/api-extractor'

import { publicEntries, publishedPackages, type Entry, type WorkspacePackage } from '../workspace.ts'
import type { Check } from './check.ts'

/** The checked-in report of every public entry says exactly what the built declarations say. */
export function apiReports(root: string): Check {
  return {
    name: 'API reports',
    problems: () => Promise.resolve(reportAll(root, 'compare')),
  }
}

/**
 * Makes the report of every public entry of every published package (`packages/<name>/etc/<entry>.api.md`).
 *
 * @param mode - `compare` changes nothing; `update` overwrites the reports
 */
export function reportAll(root: string, mode: 'compare' | 'update'): string[] {
  return publishedPackages(root).flatMap((pkg) =>
    publicEntries(pkg.manifest).flatMap((entry) => reportEntry(pkg, entry, mode)),
  )
}

function reportEntry(pkg: WorkspacePackage, entry: Entry, mode: 'compare' | 'update'): string[] {
  const name = entry.subpath === '.' ? 'index' : entry.subpath.slice('./'.length).replaceAll('/', '-')
  const where = `${pkg.folder}/etc/${name}.api.md`
  const temporary = mkdtempSync(join(tmpdir(), 'sluice-api-'))
  const problems: string[] = []
  try {
    // api-extractor refuses to write into a folder that does not exist.
    mkdirSync(join(pkg.path, 'etc'), { recursive: true })
    const result = Extractor.invoke(configuration(pkg, entry, name, temporary), {
      localBuild: mode === 'update',
      messageCallback: (message) => {
        if (isProblem(message)) problems.push(`${where}: ${message.text}`)
        message.logLevel = ExtractorLogLevel.None
      },
    })
    if (mode === 'compare' && result.apiReportChanged) {
      problems.push(`${where} differs from the built declarations: run \`npm run api\` and review the change`)
    }
  } catch (error) {
    problems.push(`${where}: ${String(error)}`)
  } finally {
    rmSync(temporary, { recursive: true, force: true })
  }
  return problems
}

function isProblem(message: ExtractorMessage): boolean {
  const level = message.logLevel
  return (
    level === ExtractorLogLevel.Error ||
    (level === ExtractorLogLevel.Warning && !message.messageId.startsWith('console-'))
  )
}

function configuration(pkg: WorkspacePackage, entry: Entry, name: string, temporary: string): ExtractorConfig {
  return ExtractorConfig.prepare({
    configObjectFullPath: undefined,
    packageJsonFullPath: join(pkg.path, 'package.json'),
    configObject: {
      projectFolder: pkg.path,
      mainEntryPointFilePath: join(pkg.path, entry.types),
      // api-extractor brings its own TypeScript, of an older major: it reads the declarations and none of our settings.
      compiler: {
        overrideTsconfig: {
          compilerOptions: { target: 'es2024', module: 'nodenext', strict: true, types: ['node'], skipLibCheck: true },
          files: [entry.types],
        },
      },
      apiReport: {
        enabled: true,
        // Part of the contract although nobody can name them.
        includeForgottenExports: true,
        reportFileName: `${name}.api.md`,
        reportFolder: join(pkg.path, 'etc'),
        reportTempFolder: temporary,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      newlineKind: 'lf',
      messages: {
        compilerMessageReporting: { default: { logLevel: ExtractorLogLevel.Error } },
        extractorMessageReporting: {
          default: { logLevel: ExtractorLogLevel.Error },
          // Release tags are not used: what an entry exports is public.
          'ae-missing-release-tag': { logLevel: ExtractorLogLevel.None },
          'ae-forgotten-export': { logLevel: ExtractorLogLevel.None },
          'ae-undocumented': { logLevel: ExtractorLogLevel.None },
          'ae-unresolved-link': { logLevel: ExtractorLogLevel.None },
        },
        // The report shows signatures; doc comments are oxlint's and the reader's business.
        tsdocMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
      },
    },
  })
}
