// The tabs of the work panel, in their order. A tab's code is loaded when the tab is first chosen;
// docs/panel.md says what its module must have.

export const TABS = [
  // changes:

  // files:
  { id: "files", title: "Files", icon: "folder", load: () => import("./panel_files.js") },

  // terminal:

  // tasks:

  // preview:
  { id: "preview", title: "Preview", icon: "monitor", load: () => import("./preview.js") },
];
