import { type DesiredIndex, type DesiredSite, type Head, parseDesiredIndex, parseDesiredSite } from '@berth/shared/desired'
import { layout } from '@berth/shared/layout'
import { getIfChanged } from '@berth/shared/objects/bytes'
import type { Objects } from '@berth/shared/objects/objects'
import { Refusal } from '@berth/shared/refusal'
import { mapBounded } from '../bounded.ts'
import { asDiskFull } from '../install/room.ts'
import type { DesiredFolder } from './desired-folder.ts'
import { fetchDesired, fetchSnapshot } from './fetch.ts'
import { type Floor, isOver, type Judge, judgeBody, judgeHead, openHead } from './verdict.ts'

const passingCodes: ReadonlySet<string> = new Set(['bad_body', 'disk_full'])
const headBytesMax = 64 * 1024
const fetchesMax = 16

/** A desired state that was accepted: signed, of this fleet, whole. */
export type Held = { readonly head: Head; readonly sites: readonly DesiredSite[] }

export type DesiredReader = Awaited<ReturnType<typeof desiredReader>>

/**
 * Reads the fleet's desired state. `read` looks once (one conditional GET when there is no news); whatever is refused or
 * out of reach, what is held stays held.
 */
export const desiredReader = async ({
  objects,
  folder,
  judge,
  now
}: {
  readonly objects: Objects
  readonly folder: DesiredFolder
  readonly judge: Judge
  readonly now: () => Date
}) => {
  const fleet = judge.birth.fleet
  let { held, floor } = await loadHeld(folder, judge)
  let refusal: Refusal | undefined
  let isUnreachable = false
  /** Of the head that was judged last, whatever the verdict: the same one need not be judged each second. */
  let etag: string | undefined

  const accept = async (bytes: Buffer, signal?: AbortSignal): Promise<boolean> => {
    const head = openHead(judge, bytes)
    const { isNews } = judgeHead(judge, head, floor, now())
    if (!isNews && held) {
      signal?.throwIfAborted()
      await folder.accept(bytes)
      held = { ...held, head }
      return false
    }
    const sites = await fetchBody(objects, folder, judge, head, held === undefined)
    signal?.throwIfAborted()
    await folder.accept(bytes)
    held = { head, sites: sites.parsed }
    floor = { ...head, isWhole: true }
    await folder.sweep(new Set([head.digest, ...sites.digests]))
    return true
  }

  return {
    /** Looks once; answers whether another desired state is held now. Never throws. A look that was given up changes nothing later. */
    read: async (signal?: AbortSignal): Promise<boolean> => {
      try {
        const found = await getIfChanged(objects, layout.head(fleet), etag, { bytesMax: headBytesMax })
        signal?.throwIfAborted()
        isUnreachable = false
        if (found.kind !== 'found') {
          if (found.kind === 'missing') etag = undefined
          return false
        }
        etag = found.etag
        const isChanged = await accept(found.bytes, signal)
        refusal = undefined
        return isChanged
      } catch (thrown) {
        if (signal?.aborted) return false
        const error = asDiskFull(thrown, 'desired state')
        if (error instanceof Refusal) refusal = error
        else isUnreachable = true
        // The same bytes of a head are always refused alike; a body may have come meanwhile, a disk may have room again, or the
        // store may answer again.
        if (!(error instanceof Refusal) || passingCodes.has(error.code)) etag = undefined
        return false
      }
    },
    held: (): Held | undefined => held,
    status: () => ({
      head: refusal
        ? ('refused' as const)
        : !held
          ? ('none' as const)
          : isOver(judge.root, held.head, now())
            ? ('stale' as const)
            : ('current' as const),
      refusals: refusal ? [{ code: refusal.code, message: refusal.message }] : [],
      isUnreachable
    })
  }
}

/** What this server's own disk holds, so that it serves with the store gone. A damaged body leaves at least the floor. */
const loadHeld = async (
  folder: DesiredFolder,
  judge: Judge
): Promise<{ readonly held: Held | undefined; readonly floor: Floor | undefined }> => {
  const text = await folder.findHead()
  const head = text === undefined ? undefined : findHead(judge, text)
  if (!head) return { held: undefined, floor: undefined }
  const sites = await findSites(folder, head).catch(() => undefined)
  return { held: sites && { head, sites }, floor: { ...head, isWhole: sites !== undefined } }
}

const findHead = (judge: Judge, text: string): Head | undefined => {
  try {
    return openHead(judge, Buffer.from(text))
  } catch {
    return undefined
  }
}

const findSites = async (folder: DesiredFolder, head: Head): Promise<DesiredSite[] | undefined> => {
  const index = await folder.find(head.digest)
  if (index === undefined) return undefined
  const sites: DesiredSite[] = []
  for (const digest of Object.values(parseDesiredIndex(index).sites)) {
    const site = await folder.find(digest)
    if (site === undefined) return undefined
    sites.push(parseDesiredSite(site))
  }
  return sites
}

type Body = { readonly parsed: readonly DesiredSite[]; readonly digests: readonly string[] }

/** Index and changed sites at once, then whatever is still missing; everything is on disk before the answer. */
const fetchBody = async (
  objects: Objects,
  folder: DesiredFolder,
  judge: Judge,
  head: Head,
  isNewborn: boolean
): Promise<Body> => {
  const fleet = judge.birth.fleet
  const texts = new Map<string, string>()
  const load = async (digest: string) => {
    texts.set(digest, (await folder.find(digest)) ?? (await fetchDesired(objects, fleet, digest)))
  }
  const [snapshot] = await Promise.all([
    isNewborn ? findSnapshot(objects, fleet, head.digest) : undefined,
    load(head.digest),
    mapBounded(isNewborn ? [] : head.changed, fetchesMax, load)
  ])
  const index = parseDesiredIndex(texts.get(head.digest) ?? '')
  const digests = Object.values(index.sites)
  for (const digest of digests) {
    const line = snapshot?.get(digest)
    if (line !== undefined) texts.set(digest, line)
  }
  await mapBounded(
    digests.filter((digest) => !texts.has(digest)),
    fetchesMax,
    load
  )
  const parsed = parseSites(index, texts)
  judgeBody(judge, index, parsed)
  await mapBounded([head.digest, ...digests], fetchesMax, async (digest) => {
    if (!(await folder.has(digest))) await folder.put(digest, texts.get(digest) ?? '')
  })
  return { parsed, digests }
}

/** A bad snapshot is no worse than none: each site is also an object of its own. */
const findSnapshot = (objects: Objects, fleet: string, digest: string): Promise<ReadonlyMap<string, string>> =>
  fetchSnapshot(objects, fleet, digest).catch((error) => {
    if (error instanceof Refusal) return new Map()
    throw error
  })

const parseSites = (index: DesiredIndex, texts: ReadonlyMap<string, string>): DesiredSite[] =>
  Object.entries(index.sites).map(([id, digest]) => {
    const site = parseDesiredSite(texts.get(digest) ?? '')
    if (site.site !== id) throw new Refusal('bad_body', `the index names site ${id}; its object is that of ${site.site}`)
    return site
  })
