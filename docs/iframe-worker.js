// The search runs in a web worker, and browsers start none on a page that is opened from disk. There a hidden frame
// stands in for it. The theme's offline plugin would load such a script from another site.
if (location.protocol === 'file:') {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement('iframe');
      frame.hidden = true;
      document.body.append(frame);
      this.scope = frame.contentWindow;
      this.scope.postMessage = (data) => this.dispatchEvent(new MessageEvent('message', {data}));
      const script = this.scope.document.createElement('script');
      script.src = url;
      this.loaded = new Promise((resolve) => script.addEventListener('load', resolve));
      this.scope.document.body.append(script);
    }

    async postMessage(data) {
      await this.loaded;
      this.scope.dispatchEvent(new MessageEvent('message', {data}));
    }
  };
}
