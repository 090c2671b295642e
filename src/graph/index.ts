import '../node-version.ts'

export { GraphNotificationError } from '../errors.ts'
export {
  type GraphLifecycleEvent,
  type GraphNotification,
  type GraphNotificationCollection,
  type GraphNotificationOptions,
  type GraphResponse,
  type GraphUserChange,
  type GraphValidation,
  parseGraphNotification,
} from './notifications.ts'
