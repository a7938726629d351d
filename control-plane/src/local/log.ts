import { appendFileSync, renameSync, statSync } from 'node:fs'
import type { Log } from '../platform/service-loop.ts'

const logBytesMax = 10 * 1024 * 1024

/** The control plane's log on a laptop: one JSON line an entry, in a file that only we read, with one older file beside it. */
export const makeLog = (file: string, now: () => Date): Log => {
  rotate(file)
  return (entry) => appendFileSync(file, `${JSON.stringify({ at: now().toISOString(), ...entry })}\n`, { mode: 0o600 })
}

const rotate = (file: string): void => {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (size > logBytesMax) renameSync(file, `${file}.1`)
}
