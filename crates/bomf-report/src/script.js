(()=>{
"use strict";
const tip=document.getElementById("tip");
const all=(s,e=document)=>[...e.querySelectorAll(s)];
// Move the marks' titles out of the way of the browser's own tooltips.
const text=new WeakMap();
for(const e of all("[data-tip]")){const t=e.querySelector(":scope>title");if(t){text.set(e,t.textContent);t.remove()}}
let lit=null;
const link=(e,on)=>{
  for(const key of ["m","k"]){
    const v=e.dataset[key];if(v===undefined)continue;
    for(const o of all(`[data-${key}="${CSS.escape(v)}"]`)){
      o.classList.toggle(o.tagName==="TR"?"lit-row":o.classList.contains("profile")?"on":"lit",on);
    }
  }
};
const show=(e,x,y)=>{
  if(lit!==e){if(lit){lit.classList.remove("lit");link(lit,false)}lit=e;e.classList.add("lit");link(e,true);tip.textContent=text.get(e)}
  tip.hidden=false;
  const w=tip.offsetWidth,h=tip.offsetHeight;
  tip.style.left=Math.max(6,Math.min(x+14,innerWidth-w-8))+"px";
  tip.style.top=(y+16+h>innerHeight?Math.max(6,y-h-12):y+16)+"px";
};
const hide=()=>{if(lit){lit.classList.remove("lit");link(lit,false)}lit=null;tip.hidden=true};
const middle=e=>{const r=e.getBoundingClientRect();return[r.left+r.width/2,r.top+r.height/2]};
// The nearest mark within reach answers the pointer; arrow keys walk through them.
for(const svg of all("svg.figure")){
  const marks=all("[data-tip]",svg).filter(e=>text.has(e));
  if(!marks.length)continue;
  svg.addEventListener("pointermove",ev=>{
    let best=null,least=28;
    for(const e of marks){const[x,y]=middle(e);const d=Math.hypot(x-ev.clientX,y-ev.clientY);if(d<=least){least=d;best=e}}
    const under=ev.target.closest("[data-tip]");
    if(!best&&under&&text.has(under))best=under;
    best?show(best,ev.clientX,ev.clientY):hide();
  });
  svg.addEventListener("pointerleave",hide);
  const host=svg.closest("[tabindex]")||svg;
  let at=-1;
  host.addEventListener("keydown",ev=>{
    const step={ArrowRight:1,ArrowLeft:-1}[ev.key];
    if(step){at=(at+step+marks.length)%marks.length;show(marks[at],...middle(marks[at]));ev.preventDefault()}
    else if(ev.key==="Escape")hide();
  });
  host.addEventListener("blur",hide);
}
// Rows light up their marks.
for(const row of all("tr[data-m],tr[data-k]")){
  row.addEventListener("pointerenter",()=>link(row,true));
  row.addEventListener("pointerleave",()=>link(row,false));
}
// Columns sort; the first click puts the best on top.
for(const table of all("table[data-sortable]")){
  const body=table.tBodies[0],head=table.tHead.rows[table.tHead.rows.length-1];
  const shift=table.tHead.rows.length>1?1:0;
  [...head.cells].forEach((th,i)=>{
    const first=th.dataset.sort;if(!first)return;
    const b=document.createElement("button");b.type="button";b.append(...th.childNodes);th.append(b);
    b.addEventListener("click",()=>{
      const now=th.getAttribute("aria-sort");
      const up=now?now!=="ascending":first==="up";
      for(const o of head.cells)o.removeAttribute("aria-sort");
      th.setAttribute("aria-sort",up?"ascending":"descending");
      const value=r=>{const v=r.cells[i+shift].dataset.v;return v===undefined?NaN:+v};
      const rows=[...body.rows].map(r=>[value(r),r]);
      rows.sort(([a],[b])=>isNaN(a)?isNaN(b)?0:1:isNaN(b)?-1:up?a-b:b-a);
      body.append(...rows.map(r=>r[1]));
    });
  });
}
})();
