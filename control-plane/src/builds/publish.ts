import { createReadStream } from 'node:fs'
import type { BuildStatement } from '@berth/shared/build'
import { type Signer, signEnvelope } from '@berth/shared/dsse'
import { layout } from '@berth/shared/layout'
import type { Objects } from '@berth/shared/objects/objects'

/**
 * Signs a build as the vendor and puts archive and statement where the sealer copies them from. The statement comes last:
 * without one there is no build.
 */
export const publishBuild = async (
  { objects, vendor }: { readonly objects: Objects; readonly vendor: Signer },
  build: BuildStatement,
  archiveFile: string
): Promise<void> => {
  const envelope = await signEnvelope('build', build, [vendor])
  await objects.put(layout.build(build.name, build.version, build.platform), createReadStream(archiveFile))
  await objects.put(layout.buildStatement(build.name, build.version, build.platform), Buffer.from(JSON.stringify(envelope)))
}
