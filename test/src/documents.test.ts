import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, it } from 'node:test'

const project = resolve(import.meta.dirname, '../..')
const read = (path: string): string => readFileSync(join(project, path), 'utf8')
const documents = globSync(['*.md', 'docs/**/*.md'], { cwd: project })

describe('the documents', () => {
  it('lead to pages that exist', () => {
    for (const document of documents)
      for (const [, link = ''] of read(document).matchAll(/\]\((?!https?:)([^)#]+)/g))
        assert.ok(existsSync(join(project, dirname(document), link)), `${document} leads to ${link}`)
  })

  it('name only files of ours that exist', () => {
    for (const document of documents)
      for (const [, path = ''] of read(document).matchAll(
        /`((?:shared|control-plane|agent|cli|test|samples|scripts|docs)\/[^`\s<>*{]+)`/g
      ))
        assert.ok(existsSync(join(project, path)), `${document} names ${path}`)
  })

  it('name for each law only tests that are there, by their titles', () => {
    let named = 0
    for (const line of read('ARCHITECTURE.md')
      .split('\n')
      .filter((candidate) => candidate.startsWith('- *')))
      for (const [, file = '', titles = ''] of line.matchAll(/`([^`]+\.test\.ts)`:((?:[ ,]*"[^"]+")+)/g))
        for (const [, title = ''] of titles.matchAll(/"([^"]+)"/g)) {
          assert.ok(read(file).includes(title), `${file} has no test “${title}”`)
          named++
        }
    assert.ok(named >= 15, `only ${named} tests were recognised`)
  })

  it('explain every variable that is read, and no other', () => {
    const sources = globSync('{shared,control-plane,agent,cli,test}/src/**/*.ts', { cwd: project })
    const isRead = new Set<string>()
    for (const source of sources) for (const [, name = ''] of read(source).matchAll(/\b(BERTH_[A-Z_]+[A-Z])\b/g)) isRead.add(name)
    const explained = new Set([...read('docs/settings.md').matchAll(/`(BERTH_[A-Z_]+)`/g)].map(([, name = '']) => name))

    // Not variables, but words in a line of output and a mark between two processes of the command line.
    for (const word of ['BERTH_READY']) isRead.delete(word)
    assert.deepEqual([...explained].sort(), [...isRead].sort())
  })
})
