import { execFile, spawn } from 'node:child_process'
import { access, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const requirement = 'moto[server]==5.2.1'
const projectFolder = join(import.meta.dirname, '..', '..', '..')
const cacheFolder = join(projectFolder, 'node_modules', '.cache', 'berth')
const venvFolder = join(cacheFolder, 'moto-venv')

export type Moto = { readonly endpoint: string; readonly stop: () => Promise<void> }
