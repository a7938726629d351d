import { randomBytes } from 'node:crypto'
import { layout } from '@berth/shared/layout'
import type { Objects } from '@berth/shared/objects/objects'
import { newPackId, packWriter } from '@berth/shared/packs/pack'
import { sealWithKey } from '@berth/shared/sealed'

export type VaultPack = { readonly pack: string; readonly bytes: number }

/** Keeps the index of a pack of tiny pieces far below what readers allow. */
const piecesMax = 50_000

/** What binds the wrapped key that lies beside a pack of the vault. */
export const vaultPackContext = (subscription: string, application: string, pack: string) => ({
  purpose: 'pack',
  subscription,
  application,
  pack
})

type Of = {
  readonly objects: Objects
  readonly contentKey: Uint8Array
  readonly subscription: string
  readonly application: string
  /** Called after each pack that was put. */
  readonly onPut: () => Promise<void>
}

/** Seals pieces into packs of the vault, each under a fresh key; one pack at a time is in memory. */
export const vaultPacks = ({ objects, contentKey, subscription, application, onPut }: Of) => {
  const packs: VaultPack[] = []
  let current = newPack(subscription, application)

  const put = async (): Promise<void> => {
    const { pack, packKey, writer } = current
    const { bytes } = writer.finish()
    // Listed before it is put: what is given up is also deleted when an answer was lost.
    packs.push({ pack, bytes: bytes.length })
    current = newPack(subscription, application)
    const sealedKey = await sealWithKey(contentKey, vaultPackContext(subscription, application, pack), packKey)
    await Promise.all([
      objects.put(layout.vaultPack(subscription, application, pack), bytes),
      objects.put(layout.vaultPackKey(subscription, application, pack), sealedKey)
    ])
    await onPut()
  }

  return {
    add: async (digest: string, plaintext: Uint8Array): Promise<void> => {
      if (current.pieces >= piecesMax || !(await current.writer.add(digest, plaintext))) {
        await put()
        if (!(await current.writer.add(digest, plaintext))) throw new Error('a piece does not fit into an empty pack')
      }
      current.pieces += 1
    },
    finish: async (): Promise<readonly VaultPack[]> => {
      if (!current.writer.empty) await put()
      return packs
    },
    /** Takes back what no version names. */
    discard: async (): Promise<void> => {
      for (const { pack } of packs) {
        await objects.delete(layout.vaultPack(subscription, application, pack))
        await objects.delete(layout.vaultPackKey(subscription, application, pack))
      }
    }
  }
}
export type VaultPacks = ReturnType<typeof vaultPacks>

const newPack = (subscription: string, application: string) => {
  const pack = newPackId()
  const packKey = randomBytes(32)
  return { pack, packKey, pieces: 0, writer: packWriter({ packKey, pack, subscription, application }) }
}
