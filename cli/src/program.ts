import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { changeStatus, type DeployOptions, deploy, rollback, type WaitOptions } from './commands/deploy.ts'
import { listApplications, listBuilds, listDeployments, listSites, listVersions } from './commands/lists.ts'
import { type PublishOptions, publish } from './commands/publish.ts'
import { type LoginOptions, login, logout, whoami } from './commands/sign-in.ts'
import { status } from './commands/status.ts'
import { type UpOptions, up } from './commands/up.ts'
import type { Environment } from './environment.ts'
import { type CliError, type ExitCode, exitCodeMeanings, exitCodes, toCliError, usageError } from './errors.ts'
import { type Output, outputTo } from './output.ts'
import { openSession, type Session } from './session.ts'

/** Runs one command line and answers the exit code; everything that went wrong has been said by then. */
export const run = async (environment: Environment): Promise<ExitCode> => {
  const json = environment.args.includes('--json')
  const output = outputTo(environment, json)
  try {
    await berth(environment, output).parseAsync([...environment.args], { from: 'user' })
    return exitCodes.done
  } catch (error) {
    const failure = error instanceof CommanderError ? usageFailure(error) : toCliError(error)
    if (!failure) return exitCodes.done
    output.error(failure)
    return failure.exitCode
  }
}

const berth = (environment: Environment, output: Output): Command => {
  const program = new Command('berth')
    .description('Publish web applications, deploy them, see them served, roll back.')
    .version(environment.version, '-V, --version', 'print the version of berth')
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => environment.stdout.write(text),
      writeErr: (text) => environment.stderr.write(text),
      outputError: () => undefined // `run` says it, as JSON where that was asked for
    })
    .addHelpText('after', mainHelp)
  withGlobals(program)
  const session = (command: Command): Promise<Session> => openSession(environment, command.optsWithGlobals(), output)

  addSignIn(program, environment, output)
  addPublishing(program, session)
  addDeploying(program, session)
  addLists(program, session)
  return program
}

type SessionOf = (command: Command) => Promise<Session>

const addSignIn = (program: Command, environment: Environment, output: Output): void => {
  add(program, 'login', 'sign in; the password is asked for, or piped in', [
    'berth login --api https://berth.example.com --email me@example.com',
    'pass show berth | berth login --email me@example.com --password-stdin'
  ])
    .option('--api <url>', 'address of the API (default: BERTH_API, else the last one, else this machine’s)')
    .option('--email <address>', 'who signs in')
    .option('--password-stdin', 'read the password from standard input')
    .action((_options: unknown, command: Command) => login(environment, command.optsWithGlobals<LoginOptions>(), output))
  add(program, 'logout', 'end the session and forget its token', ['berth logout', 'berth logout --profile staging']).action(
    (_options: unknown, command: Command) => logout(environment, command.optsWithGlobals(), output)
  )
  add(program, 'whoami', 'who is signed in, where, with which subscriptions', ['berth whoami', 'berth whoami --json']).action(
    (_options: unknown, command: Command) => whoami(environment, command.optsWithGlobals(), output)
  )
}

const addPublishing = (program: Command, session: SessionOf): void => {
  waiting(
    add(program, 'up', 'publish a folder, deploy it, wait until it is served, print its address; makes what is missing', [
      'berth up .',
      'berth up ./site --application shop --deployment production'
    ])
  )
    .argument('<dir>', 'folder that holds the application')
    .option('--application <name>', 'application (default: package.json’s name, else the folder’s)')
    .option('--deployment <name>', 'deployment, where the application has several')
    .action(async (dir: string, _options: unknown, command: Command) =>
      up(await session(command), dir, command.optsWithGlobals<UpOptions>())
    )
  waiting(
    add(program, 'publish', 'make a new version of an application from a folder', [
      'berth publish ./dist --application shop --note "new checkout"',
      'berth publish ./dist --application shop --deploy production'
    ])
  )
    .argument('<dir>', 'folder that holds the application')
    .requiredOption('--application <name>', 'application to publish to, by name or id')
    .option('--deploy [deployment]', 'deploy it at once: to this deployment, or to the only one')
    .option('--note <text>', 'a word to those who read the list of versions')
    .action(async (dir: string, _options: unknown, command: Command) =>
      publish(await session(command), dir, command.optsWithGlobals<PublishOptions>())
    )
}

const addDeploying = (program: Command, session: SessionOf): void => {
  waiting(
    add(program, 'deploy', 'run a version on a deployment, now or later', [
      'berth deploy shop',
      'berth deploy production --version 7 --build node@24.1.0',
      'berth deploy production --version 8 --at 2030-01-31T08:00:00+01:00'
    ])
  )
    .argument('<deployment>', 'deployment, or an application that has only one')
    .option('--version <number>', 'version (default: the newest)', positive)
    .option('--build <name@version>', 'build to run it on (default: the newest that fits)')
    .option('--at <time>', 'when it starts, with its time zone (default: now)')
    .action(async (target: string, _options: unknown, command: Command) =>
      deploy(await session(command), target, command.optsWithGlobals<DeployOptions>())
    )
  add(program, 'status', 'what was asked for and what each server does', ['berth status', 'berth status production --watch'])
    .argument('[deployment]', 'deployment, by name or id (default: all)')
    .option('--watch', 'show every change until the operation has ended; fails when it does')
    .action(async (target: string | undefined, _options: unknown, command: Command) =>
      status(await session(command), target, command.optsWithGlobals<{ watch?: boolean }>())
    )
  waiting(
    add(program, 'rollback', 'serve an earlier release again', ['berth rollback production', 'berth rollback production --to 6'])
  )
    .argument('<deployment>', 'deployment, by name or id')
    .option('--to <release>', 'a release’s id or a version’s number (default: what was live before)')
    .action(async (target: string, _options: unknown, command: Command) =>
      rollback(await session(command), target, command.optsWithGlobals<WaitOptions & { to?: string }>())
    )
  for (const [name, wanted, description] of [
    ['disable', 'disabled', 'take a deployment off its servers'],
    ['enable', 'active', 'put a disabled deployment back']
  ] as const)
    waiting(add(program, name, description, [`berth ${name} production`]))
      .argument('<deployment>', 'deployment, by name or id')
      .action(async (target: string, _options: unknown, command: Command) =>
        changeStatus(await session(command), target, wanted, command.optsWithGlobals<WaitOptions>())
      )
}

const addLists = (program: Command, session: SessionOf): void => {
  add(program, 'versions', 'versions of an application, the newest first', ['berth versions shop'])
    .argument('<application>', 'application, by name or id')
    .action(async (target: string, _options: unknown, command: Command) => listVersions(await session(command), target))
  for (const [name, list] of [
    ['applications', listApplications],
    ['sites', listSites],
    ['deployments', listDeployments],
    ['builds', listBuilds]
  ] as const)
    add(program, name, `${name} there are`, [`berth ${name}`, `berth ${name} --json`]).action(
      async (_options: unknown, command: Command) => list(await session(command))
    )
}

const add = (program: Command, name: string, description: string, examples: readonly string[]): Command =>
  withGlobals(
    program
      .command(name)
      .description(description)
      .addHelpText('after', `\nExamples:\n${examples.map((example) => `  $ ${example}`).join('\n')}\n\nExit codes: berth --help`)
  )

/** Options that may stand before or behind a command's name. */
const withGlobals = (command: Command): Command =>
  command
    .option('--json', 'print JSON and nothing else, errors too')
    .option('--profile <name>', 'profile to use (default: the last one that signed in)')
    .option('--subscription <name>', 'subscription, by name or id (default: the only one)')

const waiting = (command: Command): Command =>
  command
    .option('--no-wait', 'do not wait until it is served')
    .option('--timeout <seconds>', 'how long to wait until it is served', positive, 600)

const positive = (text: string): number => {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It is not a whole number above 0.')
  return Number(text)
}

/** Nothing when commander only printed what was asked for. */
const usageFailure = (error: CommanderError): CliError | undefined => {
  if (error.code === 'commander.helpDisplayed' || error.code === 'commander.version') return undefined
  if (error.code === 'commander.help') return usageError('name a command')
  return usageError(`${error.message.replace(/^error: /, '')} (see berth --help)`)
}

const mainHelp = `
Examples:
  $ berth login --email me@example.com
  $ berth up ./my-site
  $ berth publish ./my-site --application my-site --deploy
  $ berth status --watch
  $ berth rollback my-site

Exit codes:
${exitCodeMeanings.map(([code, meaning]) => `  ${code}  ${meaning}`).join('\n')}

Environment:
  BERTH_API      address of the API to sign in to
  BERTH_PROFILE  file that keeps who is signed in (default: ~/.config/berth/profile.json)`
