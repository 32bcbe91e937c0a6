/* idiomorph, 0BSD */
var Idiomorph=function(){"use strict";const e=()=>{};const n={morphStyle:"outerHTML",callbacks:{beforeNodeAdded:e,afterNodeAdded:e,beforeNodeMorphed:e,afterNodeMorphed:e,beforeNodeRemoved:e,afterNodeRemoved:e,beforeAttributeUpdated:e},head:{style:"merge",shouldPreserve:e=>e.getAttribute("im-preserve")==="true",shouldReAppend:e=>e.getAttribute("im-re-append")==="true",shouldRemove:e,afterHeadMorphed:e},restoreFocus:true};function t(e,t,n={}){const o=u(e);const r=f(t);const i=d(o,r,n);return c(i,o,r,e=>{const t=a(e,()=>{if(e.morphStyle==="innerHTML"){s(e,o,r);return Array.from(o.childNodes)}else{return l(e,o,r)}});e.pantry.remove();return t})}function l(e,t,n){const o=f(t);s(e,o,n,t,t.nextSibling);return Array.from(o.childNodes)}function a(e,t){if(!e.config.restoreFocus)return t();let n=e.doc.activeElement;if(!(g.inputElement(n)||g.textAreaElement(n))){return t()}const{id:o,selectionStart:r,selectionEnd:i}=n;const l=t();if(o&&o!==e.doc.activeElement?.getAttribute("id")){n=e.target.querySelector(`[id="${CSS.escape(o)}"]`);n?.focus()}if(n&&!n.selectionEnd&&i){try{n.setSelectionRange(r,i)}catch{}}return l}const s=function(){function e(e,t,n,o=null,r=null){if(g.templateElement(t)&&g.templateElement(n)){t=t.content;n=n.content}o||=t.firstChild;for(const i of n.childNodes){if(o&&o!=r){const a=f(e,i,o,r);if(a){if(a!==o){m(e,o,a)}b(a,i,e);o=a.nextSibling;continue}}if(g.element(i)){const s=i.getAttribute("id");if(e.persistentIds.has(s)){const c=p(t,s,o,e);b(c,i,e);o=c.nextSibling;continue}}const l=u(t,i,o,e);if(l){o=l.nextSibling}}while(o&&o!=r){const d=o;o=o.nextSibling;h(e,d)}}function u(e,t,n,o){if(o.callbacks.beforeNodeAdded(t)===false)return null;if(o.idMap.has(t)){const r=o.doc.createElementNS(t.namespaceURI,t.localName);e.insertBefore(r,n);b(r,t,o);o.callbacks.afterNodeAdded(r);return r}else{const i=o.doc.importNode(t,true);e.insertBefore(i,n);o.callbacks.afterNodeAdded(i);return i}}const f=function(){function e(e,t,n,o){let r=null;let i=t.nextSibling;let l=0;let a=n;while(a&&a!=o){if(c(a,t)){if(s(e,a,t)){return a}if(r===null){if(!e.idMap.has(a)){r=a}}}if(r===null&&i&&c(a,i)){l++;i=i.nextSibling;if(l>=2){r=undefined}}if(e.activeElementAndParents.includes(a))break;a=a.nextSibling}return r||null}function s(e,t,n){let o=e.idMap.get(t);let r=e.idMap.get(n);if(!r||!o)return false;for(const i of o){if(r.has(i)){return true}}return false}function c(e,t){const n=e;const o=t;return n.nodeType===o.nodeType&&n.tagName===o.tagName&&(!n.getAttribute?.("id")||n.getAttribute?.("id")===o.getAttribute?.("id"))}return e}();function h(e,t){if(t===e.pantry)return;if(e.idMap.has(t)){a(e.pantry,t,null)}else{if(e.callbacks.beforeNodeRemoved(t)===false)return;t.parentNode?.removeChild(t);e.callbacks.afterNodeRemoved(t)}}function m(t,e,n){let o=e;while(o&&o!==n){let e=o;o=o.nextSibling;h(t,e)}return o}function p(e,t,n,o){const r=`[id="${CSS.escape(t)}"]`;const i=o.target.getAttribute?.("id")===t&&o.target||o.target.querySelector(r)||o.pantry.querySelector(r);l(i,o);a(e,i,n);return i}function l(t,n){const o=t.getAttribute("id");while(t=t.parentNode){let e=n.idMap.get(t);if(e){e.delete(o);if(!e.size){n.idMap.delete(t)}}}}function a(t,n,o){if(t.moveBefore){try{t.moveBefore(n,o)}catch(e){t.insertBefore(n,o)}}else{t.insertBefore(n,o)}}return e}();const b=function(){function e(e,t,n){if(n.ignoreActive&&e===n.doc.activeElement){return null}if(n.callbacks.beforeNodeMorphed(e,t)===false){return e}if(g.headElement(e)&&n.head.style==="none"){}else if(g.headElement(e)&&n.head.style!=="morph"){h(e,t,n)}else{o(e,t,n);if(!f(e,n)){s(n,e,t)}}n.callbacks.afterNodeMorphed(e,t);return e}function o(e,t,n){let o=t.nodeType;if(o===1){const r=e;const i=t;const l=r.attributes;const a=i.attributes;for(const s of a){if(r.getAttribute(s.name)===s.value){continue}if(u(s.name,r,"update",n)){continue}r.setAttributeNode(s.cloneNode())}for(let e=l.length-1;0<=e;e--){const c=l[e];if(!c)continue;if(!i.hasAttribute(c.name)){if(u(c.name,r,"remove",n)){continue}r.removeAttribute(c.name)}}if(!f(r,n)){d(r,i,n)}}if(o===8||o===3){if(e.nodeValue!==t.nodeValue){e.nodeValue=t.nodeValue}}}function d(n,o,r){if(g.inputElement(n)&&g.inputElement(o)&&o.type!=="file"){let e=o.value;let t=n.value;i(n,o,"checked",r);i(n,o,"disabled",r);if(!o.hasAttribute("value")){if(!u("value",n,"remove",r)){n.value="";n.removeAttribute("value")}}else if(t!==e){if(!u("value",n,"update",r)){n.setAttribute("value",e);n.value=e}}}else if(g.optionElement(n)&&g.optionElement(o)){i(n,o,"selected",r)}else if(g.textAreaElement(n)&&g.textAreaElement(o)){let e=o.value;let t=n.value;if(u("value",n,"update",r)){return}if(e!==t){n.value=e}if(n.firstChild&&n.firstChild.nodeValue!==e){n.firstChild.nodeValue=e}}}function i(e,t,n,o){const r=t[n],i=e[n];if(r!==i){const l=u(n,e,"update",o);if(!l){e[n]=t[n]}if(r){if(!l){e.setAttribute(n,"")}}else{if(!u(n,e,"remove",o)){e.removeAttribute(n)}}}}function u(e,t,n,o){if(e==="value"&&o.ignoreActiveValue&&t===o.doc.activeElement){return true}return o.callbacks.beforeAttributeUpdated(e,t,n)===false}function f(e,t){return!!t.ignoreActiveValue&&e===t.doc.activeElement&&e!==t.doc.body}return e}();function c(t,e,n,o){if(t.head.block&&t.head.style!=="none"){const r=e.querySelector("head");const i=n.querySelector("head");if(r&&i){const l=h(r,i,t);return Promise.all(l).then(()=>{const e=Object.assign(t,{head:{block:false,style:"none"}});return o(e)})}}return o(t)}function h(e,t,o){let r=[];let i=[];let l=[];let a=[];let s=new Map;for(const n of t.children){s.set(n.outerHTML,n)}for(const d of e.children){let e=s.has(d.outerHTML);let t=o.head.shouldReAppend(d);let n=o.head.shouldPreserve(d);if(e||n){if(t){i.push(d)}else{s.delete(d.outerHTML);l.push(d)}}else{if(o.head.style==="append"){if(t){i.push(d);a.push(d)}}else{if(o.head.shouldRemove(d)!==false){i.push(d)}}}}a.push(...s.values());let c=[];for(const u of a){let n=o.doc.createRange().createContextualFragment(u.outerHTML).firstChild;if(o.callbacks.beforeNodeAdded(n)!==false){if("href"in n&&n.href||"src"in n&&n.src){let t;let e=new Promise(function(e){t=e});n.addEventListener("load",function(){t()});c.push(e)}e.appendChild(n);o.callbacks.afterNodeAdded(n);r.push(n)}}for(const f of i){if(o.callbacks.beforeNodeRemoved(f)!==false){e.removeChild(f);o.callbacks.afterNodeRemoved(f)}}o.head.afterHeadMorphed(e,{added:r,kept:l,removed:i});return c}const d=function(){function e(e,t,n){const{persistentIds:o,idMap:r}=f(e,t);const i=c(n);const l=i.morphStyle||"outerHTML";if(!["innerHTML","outerHTML"].includes(l)){throw`Do not understand how to morph style ${l}`}if(l==="innerHTML"&&!e.append){throw`Cannot morph the innerHTML of a ${e.nodeName} node, as it cannot have children`}const a=i.head.style||"merge";if(!["merge","append","morph","none"].includes(a)){throw`Do not understand how to morph head style ${a}`}const s=e.ownerDocument;return{target:e,newContent:t,doc:s,config:i,morphStyle:l,ignoreActive:i.ignoreActive,ignoreActiveValue:i.ignoreActiveValue,restoreFocus:i.restoreFocus,idMap:r,persistentIds:o,pantry:d(s),activeElementAndParents:u(e,s),callbacks:i.callbacks,head:i.head}}function c(e){let t=Object.assign({},n);Object.assign(t,e);t.callbacks=Object.assign({},n.callbacks,e.callbacks);t.head=Object.assign({},n.head,e.head);return t}function d(e){const t=e.createElement("div");t.hidden=true;e.documentElement.append(t);return t}function u(e,t){let n=[];let o=t.activeElement;if(o?.tagName!=="BODY"&&e.contains(o)){while(o){n.push(o);if(o===e)break;o=o.parentElement}}return n}function a(e){let t=[];const n=e;for(const r of n.querySelectorAll?.("[id]")??[]){const i=r.getAttribute("id");if(i)t.push({elt:r,id:i})}const o=n.getAttribute?.("id");if(o)t.push({elt:e,id:o});return t}function s(n,e,o,t){for(const{elt:r,id:i}of t){if(e.has(i)){let t=r;while(t){let e=n.get(t);if(e==null){e=new Set;n.set(t,e)}e.add(i);if(t===o)break;t=t.parentElement}}}}function f(e,t){const n=a(e);const o=a(t);const r=h(n,o);let i=new Map;s(i,r,e,n);const l=t.__idiomorphRoot||t;s(i,r,l,o);return{persistentIds:r,idMap:i}}function h(e,t){let n=new Set;let o=new Map;for(const{elt:i,id:l}of e){if(o.has(l)){n.add(l)}else{o.set(l,i.tagName)}}let r=new Set;for(const{elt:i,id:l}of t){if(r.has(l)){n.add(l)}else if(o.get(l)===i.tagName){r.add(l)}}for(const l of n){r.delete(l)}if(n.size){console.warn("[Warning] duplicate ids found during morph, state loss within these elements is possible:",Array.from(n))}return r}return e}();const{normalizeElement:u,normalizeParent:f}=function(){const r=new WeakSet;function e(e){if(g.document(e)){return e.documentElement}else{return e}}function o(e){if(e==null){return document.createElement("div")}else if(typeof e==="string"){return o(l(e))}else if(r.has(e)){return e}else if(g.node(e)){if(e.parentNode){return new i(e)}else{const t=document.createElement("div");t.append(e);return t}}else{const t=document.createElement("div");for(const n of[...e]){t.append(n)}return t}}class i{constructor(e){this.originalNode=e;this.realParentNode=e.parentNode;this.previousSibling=e.previousSibling;this.nextSibling=e.nextSibling}get childNodes(){const e=[];let t=this.previousSibling?this.previousSibling.nextSibling:this.realParentNode.firstChild;while(t&&t!=this.nextSibling){e.push(t);t=t.nextSibling}return e}querySelectorAll(o){return this.childNodes.reduce((t,e)=>{if(g.element(e)){if(e.matches(o))t.push(e);const n=e.querySelectorAll(o);for(let e=0;e<n.length;e++){t.push(n[e])}}return t},[])}insertBefore(e,t){return this.realParentNode.insertBefore(e,t)}moveBefore(e,t){return this.realParentNode.moveBefore(e,t)}get __idiomorphRoot(){return this.originalNode}}function l(n){let o=new DOMParser;let e=n.replace(/<svg(\s[^>]*>|>)([\s\S]*?)<\/svg>/gim,"");if(e.match(/<\/html>/)||e.match(/<\/head>/)||e.match(/<\/body>/)){let t=o.parseFromString(n,"text/html");t.doctype?.remove();if(e.match(/<\/html>/)){r.add(t);return t}else{let e=t.firstChild;if(e){r.add(e)}return e}}else{let e=o.parseFromString("<body><template>"+n+"</template></body>","text/html");let t=e.body.querySelector("template").content;r.add(t);return t}}return{normalizeElement:e,normalizeParent:o}}();const g=function(){const n=e=>e instanceof Element||e?.nodeType===Node.ELEMENT_NODE;const t=(e,t)=>n(e)&&e.localName===t&&e.namespaceURI==="http://www.w3.org/1999/xhtml";return{element:n,node:e=>e instanceof Node||typeof e?.nodeType==="number",document:e=>e instanceof Document||e?.nodeType===Node.DOCUMENT_NODE,templateElement:e=>t(e,"template"),headElement:e=>t(e,"head"),inputElement:e=>t(e,"input"),optionElement:e=>t(e,"option"),textAreaElement:e=>t(e,"textarea")}}();return{morph:t,defaults:n}}();
// Keeps a page that is open up to date, in its place: the collector says that
// something changed, the page is fetched again, and only what differs is
// exchanged. What somebody typed, opened or stands on stays.
(() => {
  const main = document.getElementById("main");
  const said = document.getElementById("live");
  if (!main?.dataset.live || !said || !window.EventSource) return;

  const typedIn = (form) =>
    [...form.elements].some((e) =>
      e.tagName === "SELECT"
        ? [...e.options].some((o) => o.selected !== o.defaultSelected)
        : e.type === "checkbox" || e.type === "radio"
          ? e.checked !== e.defaultChecked
          : "defaultValue" in e && e.value !== e.defaultValue,
    );

  const keep = (old, fresh) => {
    if (old instanceof HTMLFormElement && (typedIn(old) || old.contains(document.activeElement))) return false;
    if (old instanceof HTMLDetailsElement && fresh instanceof HTMLDetailsElement) fresh.open = old.open;
    return true;
  };

  let busy = false;
  let again = false;
  const refresh = async () => {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", redirect: "manual" });
      if (!answer.ok) throw new Error("the page cannot be had");
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const body = fresh.getElementById("main");
      const made = fresh.getElementById("made");
      if (!body || !made) throw new Error("the page cannot be read");
      Idiomorph.morph(main, body.innerHTML, {
        morphStyle: "innerHTML",
        ignoreActiveValue: true,
        callbacks: { beforeNodeMorphed: keep },
      });
      document.title = fresh.title;
      document.getElementById("made").replaceWith(made);
      said.textContent = "This page has just changed.";
    } catch {
      events.close();
      said.textContent = "This page no longer updates itself: reload it.";
    } finally {
      busy = false;
    }
    if (again) {
      again = false;
      refresh();
    }
  };

  const events = new EventSource(main.dataset.live);
  events.addEventListener("open", () => {
    said.textContent = "This page updates itself.";
  });
  events.addEventListener("changed", refresh);
  events.addEventListener("error", () => {
    said.textContent = "This page cannot reach the collector: it shows what was known when it was made.";
  });
})();
