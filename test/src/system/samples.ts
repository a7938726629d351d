import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import type { Endpoint } from '../prober/connection.ts'
import { answererOf, sha256, type Target, type Verdict } from '../prober/targets.ts'
import { project } from './system.ts'

export type SampleName = 'hello-node' | 'hello-static'

/** A copy of a sample that can be stamped with version after version, and what the prober must see of each. */
export type SampleCopy = {
  readonly folder: string
  /** Makes the folder's content version `number`. */
  readonly stamp: (number: number) => Promise<void>
  readonly target: (host: string, entry: Endpoint) => Target
}

/** Copies a sample into `parent`; version 1 is the sample as it is, and as `npm start` published it. */
export const copySample = async (name: SampleName, parent: string): Promise<SampleCopy> => {
  const folder = join(parent, name)
  await mkdir(parent, { recursive: true })
  await cp(join(project, 'samples', name), folder, { recursive: true })
  return name === 'hello-node' ? nodeCopy(folder) : staticCopy(folder)
}

const nodeCopy = (folder: string): SampleCopy => ({
  folder,
  stamp: (number) => writeFile(join(folder, 'version.txt'), `${number}\n`),
  target: (host, entry) => ({
    host,
    entry,
    path: '/',
    judge: (_path, answer) => {
      const { worker } = answererOf(answer)
      const title = `Hello from version <b>${worker?.version}</b>`
      const body = answer.body.toString('utf8')
      const isWhole = worker !== undefined && body.includes(title) && body.trimEnd().endsWith('</html>')
      return isWhole ? { version: worker.version } : { wrong: 'not the page of the version that the header names' }
    },
    upload: { path: '/upload', judge: judgeUpload },
    followsLinks: false
  })
})

const judgeUpload: NonNullable<Target['upload']>['judge'] = (answer, sent): Verdict => {
  const text = answer.body.toString('utf8')
  const expected = `"bytes":${sent.length},"sha256":"${sha256(sent)}"`
  return text.includes(expected) ? {} : { wrong: `the upload was not received as it was sent: ${text.slice(0, 200)}` }
}

/** The names of its assets change with each version, as those of any bundler: only the files of a kept release have the old ones. */
const staticCopy = async (folder: string): Promise<SampleCopy> => {
  /** path → digest of its content → the version that it is of. */
  const known = new Map<string, Map<string, string>>()
  const learn = async (version: string) => {
    for (const [path, digest] of await digestsOf(folder)) known.set(path, new Map(known.get(path)).set(digest, version))
  }
  await learn('1')

  return {
    folder,
    stamp: async (number) => {
      await rm(folder, { recursive: true })
      await cp(join(project, 'samples', 'hello-static'), folder, { recursive: true })
      for (const name of await readdir(join(folder, 'assets')))
        await rename(join(folder, 'assets', name), join(folder, 'assets', `v${number}-${name}`))
      for (const page of ['index.html', 'about/index.html', '404.html']) {
        const text = await readFile(join(folder, page), 'utf8')
        const stamped = text.replaceAll('assets/', `assets/v${number}-`).replace('id="version">1<', `id="version">${number}<`)
        await writeFile(join(folder, page), `${stamped}<!-- ${number} -->\n`)
      }
      await learn(String(number))
    },
    target: (host, entry) => ({
      host,
      entry,
      path: '/',
      judge: (path, answer) => {
        const file = path.endsWith('/') ? `${path}index.html` : path
        const version = known.get(file)?.get(sha256(answer.body))
        if (version === undefined) return { wrong: `${answer.body.length} bytes that are ${path} in no version` }
        // An asset of the version before may come from a server that serves the next: only pages tell which one is served.
        return path === '/' ? { version } : {}
      },
      followsLinks: true
    })
  }
}

const digestsOf = async (folder: string): Promise<[path: string, digest: string][]> => {
  const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
  return Promise.all(
    files.map(async ({ parentPath, name }): Promise<[string, string]> => {
      const file = join(parentPath, name)
      return [`/${relative(folder, file).split(sep).join('/')}`, sha256(await readFile(file))]
    })
  )
}
