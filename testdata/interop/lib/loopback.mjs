// Loaded into a server before it starts (node --import). The servers listen on every address of the
// machine, some on a fixed port, and none says which port it got. This makes them listen on a free
// port of loopback, tells the parent which, and ends the server when the parent is gone.
import net from 'node:net';

const listen = net.Server.prototype.listen;

net.Server.prototype.listen = function (port, ...rest) {
  this.once('listening', () => process.send({ port: this.address().port }));
  return listen.call(this, { port: 0, host: '127.0.0.1' }, ...rest);
};

process.on('disconnect', () => process.exit());
