/** A module for `veltix serve`, whose handler never ends. */

export default (server) => {
  server.on("message", () => {
    console.log("handling");
    return new Promise(() => {});
  });
};
