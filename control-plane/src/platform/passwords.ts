import { hash, verify } from '@node-rs/argon2'
import { refusal } from './errors.ts'

// Argon2id, 64 MiB, three passes, one lane: about a tenth of a second of one core.
const cost = { memoryCost: 64 * 1024, timeCost: 3, parallelism: 1 } as const
const atOnceMax = 2
const waitingMax = 50

/** Hashes and checks passwords, few at a time: each takes 64 MiB and a core. More than wait already are refused. */
export const passwordHashing = () => {
  const limited = limiter(atOnceMax, waitingMax)
  let dummy: Promise<string> | undefined
  return {
    hash: (password: string): Promise<string> => limited(() => hash(password, cost)),
    /** Without a hash (nobody has this name) it takes as long, and answers false. */
    verify: (password: string, known: string | undefined): Promise<boolean> =>
      limited(async () => {
        dummy ??= hash('nobody has this password', cost)
        const matches = await verify(known ?? (await dummy), password)
        return matches && known !== undefined
      })
  }
}
export type PasswordHashing = ReturnType<typeof passwordHashing>

/** Runs at most `runningMax` at once and lets at most `queueMax` wait. */
export const limiter = (runningMax: number, queueMax: number) => {
  let running = 0
  const waiting: (() => void)[] = []
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (running === runningMax) {
      if (waiting.length === queueMax)
        throw refusal('too_many_requests', 'too many sign-ins are under way; try again in a few seconds')
      // Whoever ends hands its place over, so that nobody who comes meanwhile takes it.
      await new Promise<void>((resolve) => waiting.push(resolve))
    } else running += 1
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running -= 1
    }
  }
}
