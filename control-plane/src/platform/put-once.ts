import { isObjectsError, type Objects } from '@berth/shared/objects/objects'

/** Puts an object that is written once; answers false when one is there already. */
export const putOnce = async (objects: Objects, key: string, bytes: Uint8Array): Promise<boolean> => {
  try {
    await objects.put(key, bytes, { condition: { ifNoneMatch: '*' } })
    return true
  } catch (error) {
    if (isObjectsError(error, 'precondition_failed')) return false
    throw error
  }
}
