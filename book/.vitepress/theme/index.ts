/// <reference lib="dom" />
import { type Theme, useRoute } from "vitepress";
import DefaultTheme from "vitepress/theme-without-fonts";
import { nextTick, onMounted, watch } from "vue";
import "katex/dist/katex.min.css";
import { enhance, listen } from "./page.ts";
import "./style.css";

const theme: Theme = {
  extends: DefaultTheme,
  enhanceApp({ router }) {
    // Going back within a page would load it once more, without what enhance adds. The browser
    // scrolls by itself.
    router.onBeforePageLoad = (href) => {
      const { path, component } = router.route;
      return component === null || new URL(href, location.href).pathname !== path;
    };
  },
  setup() {
    const route = useRoute();
    onMounted(() => {
      listen();
      enhance();
    });
    watch(() => route.path, () => nextTick(enhance));
  },
};

export default theme;
