/** For parts of libp2p that are used on their own: it says nothing. */
const log = Object.assign(() => {}, { error() {}, trace() {}, enabled: false, newScope: () => log })

export const silentLogger = { forComponent: () => log }
