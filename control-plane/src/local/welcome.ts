import { type FirstPasswords, operatorEmail, ownerEmail } from './first-start.ts'

export type ServedSite = { readonly name: string; readonly host: string; readonly url: string }

/** What a person reads once everything runs. */
export const welcome = (o: {
  readonly sites: readonly ServedSite[]
  readonly silent: readonly ServedSite[]
  readonly api: string
  readonly profile: string
}): string => {
  const width = Math.max(12, ...o.sites.map(({ name }) => name.length)) + 2
  const row = (name: string, text: string) => `  ${name.padEnd(width)}${text}`
  const silent = new Set(o.silent.map(({ host }) => host))
  return [
    '',
    'Berth runs.',
    '',
    ...o.sites.map((site) =>
      row(site.name, `${site.url}${silent.has(site.host) ? '   (does not answer yet: npx berth status)' : ''}`)
    ),
    row('API', `${o.api}   (reference: ${o.api}/docs)`),
    '',
    `The command line is signed in as ${ownerEmail} (${o.profile}). Try next, in another terminal:`,
    '',
    '  npx berth status                    what runs where',
    '  npx berth up <folder>               publish a folder and get an address',
    '  npx berth rollback hello-node       back to the release before',
    '  npx berth --help',
    '',
    'Ctrl-C stops everything and keeps all data; npm start carries on.'
  ].join('\n')
}

/** One line for programs that started us. */
export const machineLine = (ready: object): string => `BERTH_READY ${JSON.stringify(ready)}`

/** New passwords, shown once and kept nowhere. */
export const passwordLines = ({ owner, operator }: FirstPasswords): string =>
  ['', 'Passwords, shown this once:', `  ${ownerEmail}      ${owner}`, `  ${operatorEmail}   ${operator}`, ''].join('\n')
