import { createHash } from 'node:crypto'
import type { Answer, AnswerHead } from './answer.ts'
import type { Endpoint } from './connection.ts'

/** What an answer's contents say: which version gave it, and what is wrong with it. */
export type Verdict = { readonly version?: string | undefined; readonly wrong?: string | undefined }

/** A site to probe, and how to know a good answer from a bad one. */
export type Target = {
  readonly host: string
  readonly entry: Endpoint
  readonly path: string
  /** Judges the answer to a GET of this path whose status is below 400. */
  readonly judge: (path: string, answer: Answer) => Verdict
  /** Where slow uploads go; a site of files takes none. */
  readonly upload?: { readonly path: string; readonly judge: (answer: Answer, sent: Buffer) => Verdict }
  readonly followsLinks: boolean
}

/** Who answered, as the answer's headers say: the server (`via: 1.1 <server>`) and the worker (`x-hello: <version>/<pid>`). */
export type Answerer = {
  readonly server: string | undefined
  readonly worker: { readonly version: string; readonly pid: number } | undefined
}

export const answererOf = (head: AnswerHead | undefined): Answerer => {
  const worker = /^(.+)\/(\d+)$/.exec(head?.headers.get('x-hello') ?? '')
  return {
    server: /^1\.1 (\S+)$/.exec(head?.headers.get('via') ?? '')?.[1],
    worker: worker?.[1] === undefined ? undefined : { version: worker[1], pid: Number(worker[2]) }
  }
}

export const sha256 = (bytes: string | Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** The links of a page to its own site: what a browser would fetch next. */
export const linksOf = (page: string, path: string): string[] => {
  const links = [...page.matchAll(/\s(?:href|src)="([^"#]+)"/g)].flatMap(([, link]) => (link === undefined ? [] : [link]))
  const base = new URL(path, 'http://site.invalid')
  const ours = links.map((link) => new URL(link, base)).filter((url) => url.origin === base.origin)
  return [...new Set(ours.map((url) => url.pathname + url.search))].filter((link) => link !== path)
}
