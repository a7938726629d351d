import { homedir } from 'node:os'
import { systemClock } from '@berth/shared/clock'
import { profilePath } from '@berth/shared/profile'
import packageJson from '../package.json' with { type: 'json' }
import { run } from './program.ts'

/** The command line's entry: the one place that reads the process around it. */
const { BERTH_API, BERTH_PROFILE, XDG_CONFIG_HOME } = process.env

// A reader that has seen enough (`berth versions shop | head -1`) is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})

process.exitCode = await run({
  args: process.argv.slice(2),
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  clock: systemClock,
  version: packageJson.version,
  profilePath: profilePath({ override: BERTH_PROFILE, configHome: XDG_CONFIG_HOME, home: homedir() }),
  givenApi: BERTH_API || undefined
})
