import { type Keys, KeysError } from '@berth/shared/keys/keys'
import { type Objects, ObjectsError } from '@berth/shared/objects/objects'

/** Opens a door when it is first needed, and again while that fails: a server wakes up and serves with the store gone. */
const lazy = <Door>(open: () => Promise<Door>, unavailable: (cause: unknown) => Error): (() => Promise<Door>) => {
  let opened: Promise<Door> | undefined
  return () => {
    opened ??= open().catch((cause) => {
      opened = undefined
      throw unavailable(cause)
    })
    return opened
  }
}

/** The object store, opened when it is first asked. Until it can be, every call is `unavailable`. */
export const lazyObjects = (open: () => Promise<Objects>): Objects => {
  const store = lazy(open, (cause) =>
    cause instanceof ObjectsError ? cause : new ObjectsError('unavailable', 'the object store cannot be opened', cause)
  )
  return {
    put: async (...args) => (await store()).put(...args),
    get: async (...args) => (await store()).get(...args),
    head: async (...args) => (await store()).head(...args),
    list: async (...args) => (await store()).list(...args),
    delete: async (...args) => (await store()).delete(...args),
    copy: async (...args) => (await store()).copy(...args),
    presignPut: async (...args) => (await store()).presignPut(...args),
    presignGet: async (...args) => (await store()).presignGet(...args)
  }
}

/** The key service, opened when it is first asked. Until it can be, every call is `unavailable`. */
export const lazyKeys = (open: () => Promise<Keys>): Keys => {
  const service = lazy(open, (cause) =>
    cause instanceof KeysError ? cause : new KeysError('unavailable', 'the key service cannot be opened', cause)
  )
  return {
    dataKey: async (...args) => (await service()).dataKey(...args),
    keyPair: async (...args) => (await service()).keyPair(...args),
    unwrap: async (...args) => (await service()).unwrap(...args),
    sign: async (...args) => (await service()).sign(...args),
    verify: async (...args) => (await service()).verify(...args),
    publicKey: async (...args) => (await service()).publicKey(...args)
  }
}
