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
