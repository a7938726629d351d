import type { Keys } from '@berth/shared/keys/keys'
import { layout } from '@berth/shared/layout'
import type { Objects } from '@berth/shared/objects/objects'
import { and, eq, isNull, sql } from 'drizzle-orm'
import { recordAudit } from '../platform/audit.ts'
import { hint, inTransaction } from '../platform/database.ts'
import { putOnce } from '../platform/put-once.ts'
import { subscriptions } from '../subscriptions/schema.ts'
import { contentContext, pairContext, subscriptionsKey } from './content-keys.ts'
import type { SealerContext } from './deps.ts'

/** Makes a subscription's keys where they are missing and notes that they are there. An existing one is kept: it has sealed things. */
export const makeSubscriptionKeys = async (
  { db, objects, keys, reach }: Pick<SealerContext, 'db' | 'objects' | 'keys' | 'reach'>,
  subscription: string
): Promise<void> => {
  if (!(await objects.head(layout.contentKey(subscription)))) {
    const { wrapped } = await keys.dataKey(subscriptionsKey, contentContext(subscription))
    await putOnce(objects, layout.contentKey(subscription), wrapped)
  }
  await reach('content-key-put')
  for (const pair of ['intake', 'reading'] as const) await putPair(objects, keys, pair, subscription)
  await reach('key-pairs-put')

  await inTransaction(db, async (tx) => {
    const noted = await tx
      .update(subscriptions)
      .set({ keysMadeAt: sql`now()` })
      .where(and(eq(subscriptions.id, subscription), isNull(subscriptions.keysMadeAt)))
      .returning({ id: subscriptions.id })
    if (noted.length === 0) return
    await recordAudit(tx, {
      subscription,
      actor: { kind: 'service', id: 'service:sealer' },
      action: 'subscriptions.make-keys',
      object: `subscription/${subscription}`,
      outcome: 'done'
    })
    // Uploads may have waited for these.
    await hint(tx, 'sealer')
  })
}

const putPair = async (objects: Objects, keys: Keys, pair: 'intake' | 'reading', subscription: string): Promise<void> => {
  const name = layout.keyPair(subscription, pair)
  if (await objects.head(name)) return
  const { publicKey, wrapped } = await keys.keyPair(subscriptionsKey, pairContext(pair, subscription))
  await putOnce(objects, name, Buffer.from(JSON.stringify({ publicKey, wrapped: Buffer.from(wrapped).toString('base64') })))
}
