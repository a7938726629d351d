/** Why this cannot be a host name by DNS's limits; nothing when it can. */
export const whyNotHostName = (host: string): string | undefined => {
  const labels = host.split('.')
  if (host.length > 253) return `it has ${host.length} characters; 253 is the most`
  if (labels.length > 127) return `it has ${labels.length} labels; 127 is the most`
  const bad = labels.find((label) => !/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(label) || label.length > 63)
  if (bad === undefined) return undefined
  return bad.length > 63
    ? `the label ${bad.slice(0, 16)}… has ${bad.length} characters; 63 is the most`
    : `the label ${JSON.stringify(bad)} is not letters, digits and inner hyphens`
}

/**
 * Why a tenant may not choose this host name; nothing when they may. Names below the platform's domain are given by the platform,
 * and names that every machine takes for itself, or for an address, would let a tenant answer for others.
 */
export const whyNotChosen = (host: string, domain: string): string | undefined => {
  if (isOrIsBelow(host, domain)) return `names below ${domain} are given by the platform; leave it out to get one`
  if (isOrIsBelow(host, 'localhost')) return 'every machine takes localhost for itself'
  // As browsers have it (WHATWG URL, "ends in a number"): then the whole is an IPv4 address or nothing.
  if (/(^|\.)(\d+|0x[0-9a-f]*)$/.test(host)) return 'it ends in a number and so would be an address'
  return undefined
}

const isOrIsBelow = (host: string, domain: string): boolean => host === domain || host.endsWith(`.${domain}`)

/** What people expect of the platform itself below its domain; a site of this name gets a suffix. */
const platformLabels = new Set(['admin', 'api', 'console', 'docs', 'mail', 'status', 'www'])

export const isPlatformLabel = (label: string): boolean => platformLabels.has(label)

const labelMax = 40

/** A name that people gave, as a DNS label; `site` when nothing of it can stay. */
export const labelOf = (name: string): string => {
  const label = name
    .normalize('NFKD')
    .toLowerCase()
    .replace(/\p{M}/gu, '')
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, labelMax)
    .replace(/^-+|-+$/g, '')
  return label === '' ? 'site' : label
}

/** Where a host name is reached; the port is left out where browsers know it. */
export const addressOf = (
  host: string,
  { scheme, port }: { readonly scheme: 'http' | 'https'; readonly port: number }
): string => (port === (scheme === 'http' ? 80 : 443) ? `${scheme}://${host}` : `${scheme}://${host}:${port}`)
