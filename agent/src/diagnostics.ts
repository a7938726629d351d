import { randomUUID } from 'node:crypto'
import { canonicalJson } from '@berth/shared/canonical'
import type { Clock } from '@berth/shared/clock'
import { layout } from '@berth/shared/layout'
import type { Objects } from '@berth/shared/objects/objects'
import { sealToPublicKey } from '@berth/shared/sealed'
import { withDeadline } from './deadline.ts'
import { ProbeFailure } from './failures.ts'
import type { Packages } from './packages/packages.ts'
import type { DeploymentDesired } from './plan/state.ts'

/** The report of a failure does not wait longer for a store that hangs. */
const shipMsMax = 5000

/** The context under which probe answers are sealed; whoever opens one demands the same. */
const diagnosticsContext = (subscription: string, deployment: string, fleet: string, server: string) => ({
  purpose: 'diagnostics',
  subscription,
  deployment,
  fleet,
  server
})

/**
 * Ships what a failed probe was answered, sealed so that only the subscription's readers can open it: this server cannot.
 * Answers the id under which it lies; nothing when it was no probe, or the store did not take it.
 */
export const diagnostics =
  ({
    objects,
    packages,
    fleet,
    server,
    clock
  }: {
    readonly objects: Pick<Objects, 'put'>
    readonly packages: Pick<Packages, 'findKnown'>
    readonly fleet: string
    readonly server: string
    readonly clock: Clock
  }) =>
  async (desired: DeploymentDesired, release: string, error: unknown): Promise<string | undefined> => {
    const ref = [desired.current, desired.preparing, desired.warm].find((found) => found?.release === release)
    const known = ref && packages.findKnown(ref)
    if (!(error instanceof ProbeFailure) || !known) return undefined
    const { subscription, deployment } = desired
    const { attempts, last } = error.result
    const content = {
      release,
      at: clock.now().toISOString(),
      code: error.code,
      message: error.message,
      attempts,
      ...(last && { last })
    }
    const context = diagnosticsContext(subscription, deployment, fleet, server)
    try {
      const sealed = await sealToPublicKey(known.readingKey, context, Buffer.from(canonicalJson(content)))
      const id = randomUUID()
      const { signal } = new AbortController()
      const limits = { clock, ms: shipMsMax, signal, what: 'shipping a probe answer' }
      await withDeadline(limits, () => objects.put(layout.diagnostics(fleet, server, id), sealed))
      return id
    } catch {
      return undefined
    }
  }
