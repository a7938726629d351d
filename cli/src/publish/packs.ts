import type { UploadPack } from '@berth/shared/api/uploads'
import { sha256Hex } from '@berth/shared/canonical'
import { newPackId, packWriter, stagingPackKey } from '@berth/shared/packs/pack'
import { lanes } from './lanes.ts'
import { changed, type HashedFolder, readPieces } from './pieces.ts'

/** A filled pack on its way out. */
export type SealedPack = UploadPack & { readonly bytes: Buffer }

/** Two packs on their way while a third is filled: that bounds the memory, however large the folder is. */
const packsAtOnce = 2

/**
 * Reads the folder a second time, seals each different piece once, and hands out packs as they fill. What is read now must
 * be what was hashed, else the file changed in between.
 */
export const sendPacks = async (o: {
  readonly folder: HashedFolder
  readonly uploadKey: Uint8Array
  readonly subscription: string
  readonly application: string
  readonly send: (pack: SealedPack, signal: AbortSignal) => Promise<void>
  readonly onFile: (path: string) => Promise<void> | void
}): Promise<UploadPack[]> => {
  const sent: UploadPack[] = []
  const sealed = new Set<string>()
  const lane = lanes(packsAtOnce)
  let filling = newPack(o)

  const sendFilled = async () => {
    if (filling.writer.empty) return
    const { pack, writer } = filling
    filling = newPack(o)
    const { bytes } = writer.finish()
    const row: UploadPack = { pack, size: bytes.length, sha256: sha256Hex(bytes) }
    sent.push(row)
    await lane.start((signal) => o.send({ ...row, bytes }, signal))
  }
  const seal = async (digest: string, piece: Buffer) => {
    if (!(await filling.writer.add(digest, piece))) {
      await sendFilled()
      await filling.writer.add(digest, piece)
    }
    sealed.add(digest)
  }

  try {
    for (const file of o.folder.files) {
      if (!file.pieces.every((digest) => sealed.has(digest))) {
        let index = 0
        for await (const piece of readPieces(file)) {
          const digest = file.pieces[index++]
          if (digest === undefined || sha256Hex(piece) !== digest) throw changed(file)
          if (!sealed.has(digest)) await seal(digest, piece)
        }
      }
      await o.onFile(file.path)
    }
    await sendFilled()
  } catch (error) {
    await lane.end(error)
  }
  await lane.end()
  return sent
}

const newPack = ({
  uploadKey,
  subscription,
  application
}: {
  readonly uploadKey: Uint8Array
  readonly subscription: string
  readonly application: string
}) => {
  const pack = newPackId()
  return { pack, writer: packWriter({ packKey: stagingPackKey(uploadKey, pack), pack, subscription, application }) }
}
